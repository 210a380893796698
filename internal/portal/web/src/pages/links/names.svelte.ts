// Names of images that lists know by their ids only.
import { get } from '../../lib/api';
import type { Image } from '../../lib/types';

const known = $state<Record<string, string>>({});
const asked = new Set<string>();

/** The name of an image, its id until that is known or where it has none. */
export function imageName(id: string): string {
  return known[id] || id;
}

/** Looks up names that are not known yet, some at a time. */
export async function learn(ids: string[]): Promise<void> {
  const fresh = [...new Set(ids)].filter((id) => !asked.has(id));
  for (const id of fresh) asked.add(id);
  while (fresh.length) {
    await Promise.all(
      fresh.splice(0, 6).map((id) => get<Image>(`/image/v2/images/${encodeURIComponent(id)}`).then((i) => void (known[id] = i.name ?? ''), () => undefined)),
    );
  }
}
