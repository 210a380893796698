// The images of one tab, loaded in pages and kept true by events.
import { get } from '../../lib/api';
import { session } from '../../lib/session.svelte';
import type { Image, ImageEvent, ImageMember, Images, Job, MoveOffer, OwnImage } from '../../lib/types';

export type Tab = 'platform' | 'private' | 'shared' | 'community';

/** What the project said of an image that is shared with it. */
export type Answer = ImageMember['status'];

const page = 1000;
const list = '/image/v2/images';

export class Store {
  images = $state.raw<Image[]>([]);
  /** How the project answered, by image; of the tab "shared" only. */
  answers = $state.raw<Record<string, Answer>>({});
  /** Images that are offered for good. */
  offers = $state.raw<MoveOffer[]>([]);
  own = $state.raw<Record<string, OwnImage>>({});
  /** What is being done with an image. */
  jobs = $state.raw<Record<string, Job>>({});
  /** The first page is there. */
  ready = $state(false);
  /** More pages are on their way. */
  loading = $state(false);
  error = $state.raw<unknown>(undefined);
  private run = 0;

  constructor(private readonly tab: Tab) {}

  /** Loads everything anew; what is shown stays until then. */
  async load(hidden: boolean): Promise<void> {
    const run = ++this.run;
    this.loading = true;
    this.error = undefined;
    try {
      const found: Image[] = [];
      const answers: Record<string, Answer> = {};
      for await (const [images, answer] of this.pages(hidden)) {
        if (run !== this.run) return;
        found.push(...images);
        if (answer) for (const i of images) answers[i.id] = answer;
        // The first page is shown at once, the others together at the end.
        if (this.ready) continue;
        this.images = [...found];
        this.answers = { ...answers };
        this.ready = found.length > 0;
      }
      if (run !== this.run) return;
      this.images = found;
      this.answers = answers;
      this.ready = true;
      await this.more(run, hidden);
    } catch (e) {
      if (run === this.run) this.error = e;
    } finally {
      if (run === this.run) this.loading = false;
    }
  }

  private async *pages(hidden: boolean): AsyncGenerator<[Image[], Answer?]> {
    const project = encodeURIComponent(session.project);
    if (this.tab === 'shared') {
      if (session.now?.admin) return yield* this.sharedWithAdmin();
      for (const status of ['pending', 'accepted', 'rejected'] as const)
        for await (const images of walk(`visibility=shared&member_status=${status}`)) yield [images.filter((i) => i.owner !== session.project), status];
      return;
    }
    const query = { platform: 'visibility=public', private: `visibility=all&owner=${project}`, community: 'visibility=community' }[this.tab];
    for await (const images of walk(query)) yield [images];
    if (hidden) for await (const images of walk(`${query}&os_hidden=true`)) yield [images];
  }

  /** Administrators are shown all shared images; these are those of their project. */
  private async *sharedWithAdmin(): AsyncGenerator<[Image[], Answer]> {
    for await (const images of walk('visibility=shared')) {
      for (const image of images.filter((i) => i.owner !== session.project)) {
        const { members } = await get<{ members: ImageMember[] }>(`${list}/${encodeURIComponent(image.id)}/members`);
        const own = members.find((m) => m.member_id === session.project);
        if (own) yield [[image], own.status];
      }
    }
  }

  /** What the list itself does not say. */
  private async more(run: number, hidden: boolean): Promise<void> {
    if (this.tab === 'shared') {
      const { moves } = await get<{ moves: MoveOffer[] }>('/kuva/v1/moves?limit=1000');
      if (run === this.run) this.offers = moves.filter((o) => o.to === session.project);
    }
    if (this.tab !== 'private') return;
    const { jobs } = await get<{ jobs: Job[] }>(`/kuva/v1/jobs?state=pending,running&limit=1000&project=${encodeURIComponent(session.project)}`);
    if (run !== this.run) return;
    this.jobs = Object.fromEntries(jobs.filter((j) => j.image && j.kind !== 'image.inspect').map((j) => [j.image!, j]));
    const own: Record<string, OwnImage> = {};
    for (const which of hidden ? ['false', 'true'] : ['false'])
      for (let next: string | null = `/kuva/v1/images?limit=${page}&hidden=${which}`; next && run === this.run; ) {
        const answer: { images: OwnImage[]; next: string | null } = await get(next);
        for (const i of answer.images) own[i.id] = i;
        next = answer.next;
      }
    if (run === this.run) this.own = own;
  }

  /** Takes over a change of an image. */
  async changed(e: ImageEvent): Promise<void> {
    const known = this.images.some((i) => i.id === e.id);
    if (e.status === 'deleted') {
      if (known) this.drop([e.id]);
      return;
    }
    const here = this.tab === 'private' ? e.project === session.project : this.tab === 'platform' ? e.visibility === 'public' : this.tab === 'community' && e.visibility === 'community';
    if (!here) {
      if (known && this.tab !== 'shared') this.drop([e.id]);
      return;
    }
    try {
      this.put(await get<Image>(`${list}/${encodeURIComponent(e.id)}`));
    } catch {
      // it is gone by now; another event says so
    }
  }

  put(image: Image): void {
    const known = this.images.some((i) => i.id === image.id);
    this.images = known ? this.images.map((i) => (i.id === image.id ? image : i)) : [image, ...this.images];
  }

  drop(ids: string[]): void {
    this.images = this.images.filter((i) => !ids.includes(i.id));
  }

  answered(id: string, status: Answer): void {
    this.answers = { ...this.answers, [id]: status };
  }

  progress(job: Job): void {
    if (!job.image || job.kind === 'image.inspect') return;
    const jobs = { ...this.jobs };
    if (job.finished_at) delete jobs[job.image];
    else jobs[job.image] = job;
    this.jobs = jobs;
  }
}

async function* walk(query: string): AsyncGenerator<Image[]> {
  for (let next: string | undefined = `${list}?limit=${page}&${query}`; next; ) {
    const answer: Images = await get(next);
    yield answer.images;
    next = answer.next && answer.images.length ? (answer.next.startsWith('/image/') ? answer.next : `/image${answer.next}`) : undefined;
  }
}
