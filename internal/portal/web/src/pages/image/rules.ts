// What may be done with an image now, and if not, why. The service decides;
// this says beforehand what it would answer.
import { t } from '../../lib/i18n.svelte';
import { session } from '../../lib/session.svelte';
import type { Image } from '../../lib/types';

export type Act = 'edit' | 'share' | 'move' | 'copy' | 'download' | 'export' | 'link' | 'state' | 'delete';

export type Stage = 'creating' | 'normal' | 'deactivated' | 'error';

/** The word of the documents for a status of the Image API. */
export function stage(image: Pick<Image, 'status'> & { kuva_last_failure?: unknown }): Stage {
  switch (image.status) {
    case 'active':
      return 'normal';
    case 'deactivated':
      return 'deactivated';
    case 'queued':
      return image.kuva_last_failure ? 'error' : 'creating';
    case 'saving':
    case 'uploading':
    case 'importing':
      return 'creating';
    default:
      return 'error';
  }
}

/** Whether the image is the project's own, or an administrator looks. */
export function mine(image: Image): boolean {
  return image.owner === session.project || !!session.now?.admin;
}

/** Why something cannot be done now; undefined where it can. */
export function why(act: Act, image: Image): string | undefined {
  const at = stage(image);
  const full = at === 'normal' || at === 'deactivated';
  if (act === 'download') return at === 'normal' ? undefined : t('image.why.no_content');
  if (!session.writer) return t('image.why.reader');
  if (act === 'copy') {
    if (image.kuva_create_image_allowed === 'false' && image.owner !== session.project) return t('image.why.restricted');
    return at === 'normal' ? undefined : t('image.why.not_normal');
  }
  if (!mine(image)) return t(image.visibility === 'public' ? 'image.why.platform' : 'image.why.foreign');
  switch (act) {
    case 'edit':
      return at === 'normal' ? undefined : t('image.why.not_normal');
    case 'share':
      if (image.kuva_create_image_allowed === 'false') return t('image.why.restricted');
      if (image.visibility === 'public' || image.visibility === 'community') return t('image.why.for_all');
      return at === 'normal' ? undefined : t('image.why.not_normal');
    case 'export':
      if (image.kuva_create_image_allowed === 'false') return t('image.why.restricted');
      return at === 'normal' ? undefined : t('image.why.not_normal');
    case 'link':
      if (image.kuva_create_image_allowed === 'false') return t('image.why.restricted');
      return at === 'normal' || image.status === 'queued' ? undefined : t('image.why.no_content');
    case 'move':
      return full ? undefined : t('image.why.no_content');
    case 'state':
      return full ? undefined : t('image.why.no_content');
    case 'delete':
      return image.protected ? t('image.why.protected') : undefined;
  }
}
