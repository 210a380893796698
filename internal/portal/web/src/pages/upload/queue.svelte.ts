// Uploads of this browser, by tus: parts are durable as they come, so that one
// goes on after a reload, a sleep or a restart, in another browser too, when the
// same file is chosen again. The service knows what was begun; nothing is kept
// here.
import * as tus from 'tus-js-client';
import { del, freshToken, get } from '../../lib/api';
import { language } from '../../lib/i18n.svelte';
import { session } from '../../lib/session.svelte';
import { failed, sentence } from '../../lib/toast.svelte';
import type { Image } from '../../lib/types';

export type State = 'waiting' | 'sending' | 'slow' | 'broken' | 'paused' | 'making' | 'done' | 'failed';

export interface Wish {
  file: File;
  name: string;
  format: string;
  metadata: Record<string, string>;
}

export interface Transfer {
  id: number;
  name: string;
  project: string;
  size: number;
  sent: number;
  /** Bytes that were there from before. */
  kept: number;
  /** Bytes a second, of the last seconds. */
  speed: number;
  state: State;
  /** What went wrong, or is being waited for. */
  why: string;
  image: string;
  upload: string;
  file: string;
}

const atOnce = 2;
/** Bytes of one request: a proxy may not let a longer one through. */
const partSize = 64 << 20;
const slowBelow = 64 << 10;
const silent = 15_000;

let list = $state<Transfer[]>([]);
let last = 0;
const running = new Map<number, { upload: tus.Upload; marks: { at: number; sent: number }[]; heard: number }>();

export const queue = {
  get list(): Transfer[] {
    return list;
  },
  /** Whether leaving the page would interrupt something. */
  get busy(): boolean {
    return list.some((x) => x.state !== 'done' && x.state !== 'failed' && x.state !== 'paused' && x.state !== 'making');
  },
};

const find = (id: number) => list.find((x) => x.id === id);

interface Open {
  id: string;
  protocol: string;
  size: number | null;
  image_id: string | null;
  metadata: Record<string, string>;
}

/** What tells a file from others of the same name. */
const stamp = (file: File) => String(file.lastModified);

/** Finds the upload of this file that was broken off. */
export async function begun(file: File): Promise<Open | undefined> {
  if (list.some((x) => x.file === file.name && x.size === file.size && x.upload !== '')) return undefined;
  const page = await get<{ uploads: Open[] }>('/kuva/v1/uploads?state=open&limit=1000');
  return page.uploads.find(
    (u) => u.protocol === 'tus' && u.size === file.size && u.metadata.filename === file.name && u.metadata.modified === stamp(file),
  );
}

/** Begins, or goes on with, the upload of a file. */
export function add(wish: Wish): void {
  const id = ++last;
  list.push({
    id, name: wish.name, project: session.project, size: wish.file.size, sent: 0, kept: 0, speed: 0, state: 'waiting', why: '', image: '', upload: '', file: wish.file.name,
  });
  const upload = new tus.Upload(wish.file, {
    endpoint: '/files',
    chunkSize: partSize,
    retryDelays: [0, 1000, 3000, 5000, 10_000, 20_000, 30_000, 60_000, 60_000, 60_000],
    storeFingerprintForResuming: false,
    metadata: { filename: wish.file.name, modified: stamp(wish.file), name: wish.name, ...(wish.format ? { disk_format: wish.format } : {}), ...wish.metadata },
    onBeforeRequest: async (req) => {
      req.setHeader('X-Auth-Token', await freshToken());
      req.setHeader('Accept-Language', language());
    },
    onUploadUrlAvailable: () => {
      const at = find(id);
      if (at) at.upload = upload.url?.split('/').pop() ?? '';
    },
    onShouldRetry: (e) => {
      const status = e.originalResponse?.getStatus() ?? 0;
      const at = find(id);
      if (at && at.state !== 'paused') at.state = 'broken';
      return status === 0 || status === 401 || status === 409 || status === 423 || status === 429 || status >= 500;
    },
    onProgress: (sent) => heard(id, sent),
    onError: (e) => ended(id, e),
    onSuccess: () => void made(id),
  });
  running.set(id, { upload, marks: [], heard: Date.now() });
  next();
}

function next(): void {
  const busy = list.filter((x) => x.state === 'sending' || x.state === 'slow' || x.state === 'broken').length;
  const one = list.find((x) => x.state === 'waiting');
  if (one && busy < atOnce) void start(one.id);
}

async function start(id: number): Promise<void> {
  const at = find(id);
  const r = running.get(id);
  if (!at || !r) return;
  at.state = 'sending';
  r.marks = [];
  r.heard = Date.now();
  if (!r.upload.url) {
    const before = await begun(r.upload.file as File).catch(() => undefined);
    if (before) {
      r.upload.options.uploadUrl = `/files/${before.id}`;
      at.upload = before.id;
    }
  }
  r.upload.start();
  next();
}

function heard(id: number, sent: number): void {
  const at = find(id);
  const r = running.get(id);
  if (!at || !r || at.state === 'paused') return;
  const now = Date.now();
  if (!r.marks.length) at.kept = sent;
  r.marks.push({ at: now, sent });
  while (r.marks.length > 2 && r.marks[0]!.at < now - 8000) r.marks.shift();
  const first = r.marks[0]!;
  at.speed = now > first.at ? Math.max(0, ((sent - first.sent) * 1000) / (now - first.at)) : at.speed;
  at.sent = sent;
  at.state = at.speed > 0 && at.speed < slowBelow ? 'slow' : 'sending';
  at.why = '';
  r.heard = now;
}

// A line that died says nothing.
setInterval(() => {
  for (const at of list) {
    const r = running.get(at.id);
    if (r && (at.state === 'sending' || at.state === 'slow') && Date.now() - r.heard > silent) {
      at.state = 'broken';
      at.speed = 0;
    }
  }
}, 2000);

addEventListener('online', () => {
  for (const at of list) if (at.state === 'failed' && running.has(at.id)) resume(at.id);
});
addEventListener('beforeunload', (e) => {
  if (queue.busy) e.preventDefault();
});

function ended(id: number, e: Error | tus.DetailedError): void {
  const at = find(id);
  if (!at || at.state === 'paused') return;
  at.state = 'failed';
  at.speed = 0;
  at.why = 'originalResponse' in e && e.originalResponse ? said(e.originalResponse.getBody()) : sentence(e);
  next();
}

function said(body: string): string {
  try {
    const b = JSON.parse(body);
    return String(b.message ?? b.error?.message ?? '') || sentence(null);
  } catch {
    return body.slice(0, 300) || sentence(null);
  }
}

/** All bytes are there: the service makes the image. */
async function made(id: number): Promise<void> {
  const at = find(id);
  if (!at) return;
  at.sent = at.size;
  at.state = 'making';
  running.delete(id);
  next();
  for (let wait = 500; ; wait = Math.min(wait * 1.5, 5000)) {
    try {
      if (!at.image && at.upload) at.image = (await get<{ image_id: string }>(`/kuva/v1/uploads/${encodeURIComponent(at.upload)}`)).image_id;
      const image = await get<Image>(`/image/v2/images/${encodeURIComponent(at.image)}`);
      if (image.status === 'active') {
        at.state = 'done';
        return;
      }
      if (image.status === 'queued') {
        at.state = 'failed';
        at.why = String(image.kuva_last_failure ?? '');
        return;
      }
    } catch (e) {
      if (e instanceof Error && 'status' in e && e.status === 404) {
        at.state = 'failed';
        at.why = sentence(e);
        return;
      }
    }
    await new Promise((r) => setTimeout(r, wait));
  }
}

export function pause(id: number): void {
  const at = find(id);
  if (!at) return;
  at.state = 'paused';
  at.speed = 0;
  void running.get(id)?.upload.abort();
  next();
}

export function resume(id: number): void {
  const at = find(id);
  if (!at) return;
  at.state = 'waiting';
  at.why = '';
  next();
}

/** Ends an upload for good: its image goes too. */
export async function cancel(id: number): Promise<void> {
  const at = find(id);
  if (!at) return;
  try {
    await running.get(id)?.upload.abort();
    if (at.upload) await del(`/kuva/v1/uploads/${encodeURIComponent(at.upload)}`);
  } catch (e) {
    if (!(e instanceof Error && 'status' in e && e.status === 404)) failed(e);
  }
  drop(id);
}

/** Takes an ended one off the list. */
export function drop(id: number): void {
  running.delete(id);
  list = list.filter((x) => x.id !== id);
  next();
}
