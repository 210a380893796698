import type { PatchStep } from '../../lib/api';
import type { Image } from '../../lib/types';

/** The steps that lead from an image to wanted values; null takes a property
 * away. Fields that every image has are replaced, never added. */
export function steps(was: Image, want: Record<string, string | number | boolean | null>): PatchStep[] {
  const out: PatchStep[] = [];
  for (const [name, value] of Object.entries(want)) {
    const path = '/' + name.replaceAll('~', '~0').replaceAll('/', '~1');
    const now = was[name];
    if (value === null) {
      if (now !== undefined) out.push({ op: 'remove', path });
    } else if ((now ?? '') !== value) {
      out.push({ op: name in was ? 'replace' : 'add', path, value });
    }
  }
  return out;
}
