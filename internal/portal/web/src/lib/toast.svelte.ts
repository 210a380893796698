// Short messages at the edge of the window: what was done, what went wrong.
import { ApiError, LoggedOut, Offline } from './api';
import { t } from './i18n.svelte';

export interface Toast {
  id: number;
  kind: 'done' | 'error' | 'note';
  text: string;
  /** Names the call in the service's log. */
  request?: string;
}

let list = $state<Toast[]>([]);
let last = 0;

export const toasts = {
  get list(): Toast[] {
    return list;
  },
};

function add(toast: Omit<Toast, 'id'>, seconds: number): void {
  const id = ++last;
  list = [...list.slice(-4), { id, ...toast }];
  if (seconds) setTimeout(() => dismiss(id), seconds * 1000);
}

export function dismiss(id: number): void {
  list = list.filter((x) => x.id !== id);
}

export function done(text: string): void {
  add({ kind: 'done', text }, 6);
}

export function note(text: string): void {
  add({ kind: 'note', text }, 8);
}

/** The sentence to show for whatever was thrown. */
export function sentence(e: unknown): string {
  if (e instanceof ApiError && e.message) return e.message;
  if (e instanceof Offline) return t('error.offline');
  if (e instanceof LoggedOut) return t('error.logged_out');
  if (e instanceof ApiError) return t('error.status', { status: e.status });
  return t('error.unexpected');
}

/** Shows what went wrong until it is dismissed. */
export function failed(e: unknown): void {
  if (e instanceof LoggedOut || (e instanceof DOMException && e.name === 'AbortError')) return;
  if (!(e instanceof ApiError) && !(e instanceof Offline)) console.error(e);
  const request = e instanceof ApiError ? e.requestId : '';
  add({ kind: 'error', text: sentence(e), ...(request ? { request } : {}) }, 0);
}
