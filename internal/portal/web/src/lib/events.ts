// Events of /kuva/v1/events: what changes in the project, as it changes. They
// come by fetch and not by EventSource, which can send no token.
import type { ImageEvent, Job } from './types';
import { freshToken, LoggedOut, renewToken, send } from './api';
import { language } from './i18n.svelte';

interface Kinds {
  image: ImageEvent;
  job: Job;
  /** Events were missed: load what is shown anew. */
  reset: { reason: string };
}

type Listener<K extends keyof Kinds> = (data: Kinds[K]) => void;
const listeners: { [K in keyof Kinds]: Set<Listener<K>> } = { image: new Set(), job: new Set(), reset: new Set() };

/** Calls f for each event of a kind; the result ends that. Use it in $effect. */
export function on<K extends keyof Kinds>(kind: K, f: Listener<K>): () => void {
  listeners[kind].add(f);
  return () => void listeners[kind].delete(f);
}

/** Follows the events until the result is called. */
export function follow(): () => void {
  const stop = new AbortController();
  void run(stop.signal);
  return () => stop.abort();
}

async function run(signal: AbortSignal): Promise<void> {
  let last = '';
  for (let wait = 1000; !signal.aborted; ) {
    try {
      const headers: Record<string, string> = { Accept: 'text/event-stream', 'Accept-Language': language(), 'X-Auth-Token': await freshToken() };
      if (last) headers['Last-Event-ID'] = last;
      const answer = await send('/kuva/v1/events', { headers, signal });
      if (answer.ok && answer.body) {
        wait = 1000;
        last = await read(answer.body, last);
      } else if (answer.status === 401) {
        await renewToken(); // or the session is at its end
      }
    } catch (e) {
      if (e instanceof LoggedOut || signal.aborted) return;
    }
    await pause(wait + Math.random() * 500, signal);
    wait = Math.min(wait * 2, 30_000);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', () => (clearTimeout(timer), done()), { once: true });
  });
}

const longest = 1 << 20; // of one event, in characters

async function read(body: ReadableStream<Uint8Array>, last: string): Promise<string> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return last;
    rest += value;
    if (rest.length > longest) return last;
    const events = rest.split('\n\n');
    rest = events.pop()!;
    for (const event of events) {
      let kind = '';
      let data = '';
      for (const line of event.split('\n')) {
        if (line.startsWith('id: ')) last = line.slice(4);
        else if (line.startsWith('event: ')) kind = line.slice(7);
        else if (line.startsWith('data: ')) data += line.slice(6);
      }
      tell(kind, data);
    }
  }
}

function tell(kind: string, data: string): void {
  if (kind !== 'image' && kind !== 'job' && kind !== 'reset') return;
  const value = JSON.parse(data);
  for (const f of listeners[kind]) (f as (data: unknown) => void)(value);
}
