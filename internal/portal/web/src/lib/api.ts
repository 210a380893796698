// Calls of the public APIs. The token lives in this module's memory and nowhere
// else; the cookie of /portal/session, which scripts cannot read, renews it.
import { language } from './i18n.svelte';

/** What an API answered instead of a success. Its message is a sentence of the
 * server in the user's language. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    /** Stable, of a closed list; "" where the API has none. */
    readonly code: string,
    message: string,
    readonly requestId: string,
  ) {
    super(message);
  }
}

/** Nobody is logged in, or no longer. */
export class LoggedOut extends Error {}

/** The service cannot be reached. */
export class Offline extends Error {}

interface Token {
  value: string;
  expires: number;
}

let token: Token | null = null;
let renewing: Promise<void> | null = null;
let renew: () => Promise<void> = () => Promise.reject(new LoggedOut());

/** Says how a token is renewed; it calls setToken or fails. */
export function onRenew(f: () => Promise<void>): void {
  renew = f;
}

export function setToken(value: string | null, expiresAt?: string): void {
  token = value === null ? null : { value, expires: expiresAt ? Date.parse(expiresAt) : Infinity };
}

/** Gets a new token, where the one that seemed good was refused; once for all
 * who wait. */
export function renewToken(): Promise<void> {
  renewing ??= renew().finally(() => (renewing = null));
  return renewing;
}

/** A token that is good for half a minute at least. Uploads ask before each
 * part, since they live longer than a token does. */
export async function freshToken(): Promise<string> {
  if (!token || token.expires - Date.now() < 30_000) await renewToken();
  if (!token) throw new LoggedOut();
  return token.value;
}

export interface Call {
  method?: string;
  /** Sent as JSON, unless it is a Blob. */
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** Calls a path with the token, renews that once where it is refused, and
 * throws ApiError for everything that is not a success. */
export async function call(path: string, c: Call = {}): Promise<Response> {
  for (let again = false; ; again = true) {
    const headers: Record<string, string> = {
      Accept: 'application/json',
      'Accept-Language': language(),
      'X-Auth-Token': await freshToken(),
      ...c.headers,
    };
    let body: BodyInit | undefined;
    if (c.body instanceof Blob) body = c.body;
    else if (c.body !== undefined) {
      headers['Content-Type'] ??= 'application/json';
      body = JSON.stringify(c.body);
    }
    const answer = await send(path, { method: c.method ?? 'GET', headers, body, signal: c.signal ?? null });
    if (answer.ok) return answer;
    if (answer.status === 401 && !again) {
      await renewToken();
      continue;
    }
    throw await failure(answer);
  }
}

/** fetch without cookies, and with Offline for what never arrived. */
export async function send(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, { credentials: 'omit', cache: 'no-store', redirect: 'error', ...init });
  } catch (e) {
    if (e instanceof DOMException && e.name === 'AbortError') throw e;
    throw new Offline();
  }
}

/** Reads the error of any of the three APIs. */
export async function failure(answer: Response): Promise<ApiError> {
  let code = '';
  let message = '';
  try {
    const body = await answer.json();
    const inner = body.error ?? body;
    message = String(inner.message ?? '');
    if (typeof inner.code === 'string' && !/^\d/.test(inner.code)) code = inner.code;
  } catch {
    // not JSON: the status is all there is
  }
  return new ApiError(answer.status, answer.headers.get('X-Kuva-Code') ?? code, message, answer.headers.get('X-Openstack-Request-Id') ?? '');
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await call(path, signal ? { signal } : {})).json();
}

export async function post<T = void>(path: string, body?: unknown): Promise<T> {
  return read<T>(await call(path, { method: 'POST', body }));
}

export async function put<T = void>(path: string, body?: unknown): Promise<T> {
  return read<T>(await call(path, { method: 'PUT', body }));
}

export async function del<T = void>(path: string): Promise<T> {
  return read<T>(await call(path, { method: 'DELETE' }));
}

export interface PatchStep {
  op: 'add' | 'replace' | 'remove';
  path: string;
  value?: unknown;
}

/** Changes an image as the Image API does: all steps or none. */
export async function patch<T = void>(path: string, steps: PatchStep[]): Promise<T> {
  const headers = { 'Content-Type': 'application/openstack-images-v2.1-json-patch' };
  return read<T>(await call(path, { method: 'PATCH', body: steps, headers }));
}

async function read<T>(answer: Response): Promise<T> {
  const text = await answer.text();
  return (text ? JSON.parse(text) : undefined) as T;
}
