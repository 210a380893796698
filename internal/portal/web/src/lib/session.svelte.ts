// Who is logged in, and in which project. /portal/session keeps the session
// behind a cookie that only it gets; here is what it told.
import { failure, LoggedOut, onRenew, send, setToken } from './api';
import { language } from './i18n.svelte';

export interface Named {
  id: string;
  name: string;
}

export interface Session {
  user: Named;
  domain: Named;
  project: Named | null;
  projects: Named[];
  roles: string[];
  admin: boolean;
  token: string;
  expires_at: string;
}

interface Front {
  log_in: 'password' | 'elsewhere';
  url: string;
  session: boolean;
}

const path = '/portal/session';

let now = $state.raw<Session | null>(null);
let front = $state.raw<Front>({ log_in: 'password', url: '', session: false });
let ended = $state(false);
// By value: a new token every quarter of an hour is no new project.
const project = $derived(now?.project?.id ?? '');
const writer = $derived(!!now && (now.admin || now.roles.includes('member')));

export const session = {
  /** null while nobody is logged in. */
  get now(): Session | null {
    return now;
  },
  /** The id of the project that is worked in, "" without one. */
  get project(): string {
    return project;
  },
  /** How people log in here. */
  get front(): Front {
    return front;
  },
  /** Whether a session ended by itself: the log-in page says so. */
  get ended(): boolean {
    return ended;
  },
  /** Whether the user may do more than read. */
  get writer(): boolean {
    return writer;
  },
};

function take(s: Session): void {
  now = s;
  ended = false;
  setToken(s.token, s.expires_at);
}

function forget(byItself: boolean): void {
  if (now) ended = byItself;
  now = null;
  setToken(null);
}

async function ask(method: string, to: string, body?: unknown): Promise<Response> {
  const answer = await send(to, {
    method,
    credentials: 'same-origin',
    headers: { Accept: 'application/json', 'Accept-Language': language(), ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw await failure(answer);
  return answer;
}

/** Picks up the session that the browser's cookie stands for, if any. */
export async function resume(): Promise<void> {
  onRenew(renew);
  front = await (await ask('GET', path)).json();
  if (front.session) await renew().catch(() => undefined);
}

async function renew(project?: string): Promise<void> {
  try {
    take(await (await ask('POST', `${path}/token`, project === undefined ? {} : { project })).json());
  } catch (e) {
    if (e instanceof Error && 'status' in e && e.status === 401) {
      forget(true);
      throw new LoggedOut();
    }
    throw e;
  }
}

export async function logIn(user: string, password: string, domain: string, project: string): Promise<void> {
  take(await (await ask('POST', path, { user, password, domain, project })).json());
}

/** Works in another project from now on. */
export async function switchProject(id: string): Promise<void> {
  await renew(id);
}

export async function logOut(): Promise<void> {
  try {
    await ask('DELETE', path);
  } finally {
    forget(false);
  }
}
