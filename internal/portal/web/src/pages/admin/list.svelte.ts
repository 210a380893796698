// A list of the identity API, which comes in pages.
import { get } from '../../lib/api';
import { sentence } from '../../lib/toast.svelte';

const most = 20_000; // more than that nobody scrolls through

/** All things of a collection, such as "projects". */
export async function all<T extends { id: string }>(kind: string): Promise<T[]> {
  const list: T[] = [];
  for (let marker = ''; list.length < most; ) {
    const answer = await get<Record<string, T[]> & { links?: { next?: string | null } }>(`/identity/v3/${kind}?limit=1000${marker && `&marker=${encodeURIComponent(marker)}`}`);
    const page = answer[kind] as T[];
    list.push(...page);
    marker = page.at(-1)?.id ?? '';
    if (!marker || !answer.links?.next) break;
  }
  return list;
}

/** The list that a page shows, with what went wrong. */
export class Listed<T extends { id: string }> {
  list = $state.raw<T[]>();
  wrong = $state('');
  constructor(private kind: string) {}

  load = async (): Promise<void> => {
    try {
      this.list = await all<T>(this.kind);
      this.wrong = '';
    } catch (e) {
      this.wrong = sentence(e);
    }
  };
}

/** Whether a search finds a thing by its words. */
export function fits(wanted: string, ...words: (string | null | undefined)[]): boolean {
  const plain = (s: string) => s.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();
  const text = plain(words.join(' '));
  return plain(wanted).split(/\s+/).every((w) => text.includes(w));
}
