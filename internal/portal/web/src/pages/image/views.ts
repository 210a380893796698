import { t } from '../../lib/i18n.svelte';
import type { View } from './types';

/** What a file of an image is called among the others: its format, and what
 * tells it from others of that. */
export function viewName(v: View): string {
  const packed = v.compressed && !/^(raw\.|ova)/.test(v.format);
  return [v.format.toUpperCase(), v.subformat, packed && t('image.view.compressed')].filter(Boolean).join(' · ');
}
