// Which page is shown: paths of the address bar, by the browser's history.
import type { Component } from 'svelte';
import type { Key } from './i18n.svelte';

/** A page. Its component gets the parameters of its path as properties. */
export interface Page {
  /** "/images/:id" gives the property id. */
  path: string;
  /** Title of the window. */
  title: Key;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  load: () => Promise<{ default: Component<any> }>;
  /** Can be read without being logged in. */
  open?: boolean;
  /** Only for administrators. */
  admin?: boolean;
}

let path = $state(location.pathname);
let query = $state(location.search);

export const route = {
  get path(): string {
    return path;
  },
  get query(): URLSearchParams {
    return new URLSearchParams(query);
  },
};

/** Goes to a path of the portal: "/images/private?q=debian". */
export function go(to: string, options: { replace?: boolean } = {}): void {
  const url = new URL(to, location.href);
  if (url.origin !== location.origin) return;
  if (options.replace) history.replaceState(null, '', url);
  else history.pushState(null, '', url);
  const moved = url.pathname !== path;
  follow();
  if (moved) scrollTo(0, 0);
}

/** Keeps a filter or sort in the address, without a step in the history. */
export function setQuery(changes: Record<string, string | null>): void {
  const q = new URLSearchParams(query);
  for (const [k, v] of Object.entries(changes)) v ? q.set(k, v) : q.delete(k);
  go(path + (q.size ? `?${q}` : ''), { replace: true });
}

function follow(): void {
  path = location.pathname;
  query = location.search;
}

/** Follows links inside the portal without loading the page anew. */
export function startRouter(): void {
  addEventListener('popstate', follow);
  document.addEventListener('click', (e) => {
    if (e.defaultPrevented || e.button || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
    const link = (e.target as Element).closest?.('a[href]') as HTMLAnchorElement | null;
    if (!link || link.target || link.hasAttribute('download') || link.origin !== location.origin) return;
    if (link.hash && link.pathname === location.pathname) return;
    e.preventDefault();
    go(link.pathname + link.search + link.hash);
  });
}

/** The first page whose path fits, and the parameters in it. */
export function match(pages: Page[], at: string): { page: Page; params: Record<string, string> } | undefined {
  const parts = at.replace(/\/+$/, '').split('/');
  for (const page of pages) {
    const want = page.path.split('/');
    if (want.length !== parts.length) continue;
    const params: Record<string, string> = {};
    const fits = want.every((w, i) => {
      if (!w.startsWith(':')) return w === parts[i];
      try {
        params[w.slice(1)] = decodeURIComponent(parts[i]!);
      } catch {
        return false;
      }
      return parts[i] !== '';
    });
    if (fits) return { page, params };
  }
  return undefined;
}
