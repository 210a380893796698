// What the wizard asks for: where the content is, and what the image shall be.
import { del, patch, post } from '../../lib/api';
import type { Key } from '../../lib/i18n.svelte';
import type { Image, Job } from '../../lib/types';
import { guess, systems } from './os';

export interface Entry {
  name: string;
  os: string;
  version: string;
  architecture: string;
  url: string;
  hash: string;
  licence: string;
  disk_format: string | null;
  min_disk: number;
  min_ram: number;
}

export type From = 'bucket' | 'url' | 'catalogue';

export class Wish {
  from = $state<From>('bucket');
  /** Name of a bucket that the site has set up; "" is another one. */
  bucket = $state('');
  object = $state('');
  endpoint = $state('');
  region = $state('');
  container = $state('');
  access = $state('');
  secret = $state('');
  url = $state('');
  digest = $state('');
  entry = $state.raw<Entry>();

  /** A distribution; "" is for the doctor to find, "other" is named in words. */
  os = $state('');
  otherOS = $state('');
  version = $state('');
  otherVersion = $state('');
  name = $state('');
  description = $state('');

  /** What the file's name told, to say so beside it. */
  guessed = $state(false);
  private given = '';

  /** Name of the file, without folders. */
  get file(): string {
    if (this.from === 'catalogue') return this.entry?.name ?? '';
    const path = this.from === 'url' ? this.url.trim().replace(/[?#].*$/, '').replace(/^[a-z]+:\/\/[^/]*/i, '') : this.object.trim();
    const last = path.replace(/\/+$/, '').split('/').pop() ?? '';
    try {
      return decodeURIComponent(last);
    } catch {
      return last;
    }
  }

  /** What is to be said before the wizard can go on from the source. */
  get lacks(): Key | '' {
    if (this.from === 'catalogue') return this.entry ? '' : 'import.lacks.entry';
    if (this.from === 'url') return this.url.trim() ? '' : 'import.lacks.url';
    if (!this.bucket && !(this.endpoint.trim() && this.container.trim())) return 'import.lacks.bucket';
    return this.object.trim() ? '' : 'import.lacks.object';
  }

  /** Name and system by what the source tells; what the user wrote stays. */
  prefill(): void {
    const name = this.file.replace(/\.(gz|xz|bz2|zst|zip|tar|ova)$/i, '').replace(/\.[A-Za-z0-9]{2,5}$/, '');
    if (this.name !== this.given && this.name) return;
    this.name = this.given = this.from === 'catalogue' ? this.file : name;
    const found = this.from === 'catalogue' ? undefined : guess(this.file);
    this.guessed = !!found;
    this.os = found?.distro ?? '';
    this.version = found?.version ?? '';
  }

  /** The properties that say the system; what is left out the doctor finds. */
  get properties(): Record<string, string> {
    const out: Record<string, string> = {};
    const set = (k: string, v: string | undefined) => v?.trim() && (out[k] = v.trim());
    if (this.from !== 'catalogue') {
      const system = systems.find((s) => s.distro === this.os);
      set('os_type', system?.family);
      set('os_distro', this.os === 'other' ? this.otherOS : this.os);
      if (this.os) set('os_version', this.version === 'other' || this.os === 'other' ? this.otherVersion : this.version);
    }
    set('description', this.description);
    return out;
  }

  /** Makes the image and begins to fetch its content. Where that is refused no
   * image stays. */
  async start(): Promise<Job> {
    const name = this.name.trim();
    if (this.from === 'catalogue') {
      const job = await post<Job>(`/kuva/v1/catalogue/${encodeURIComponent(this.entry!.name)}/import`, { name, visibility: 'private' });
      const description = this.description.trim();
      if (description && job.image) await patch(`/image/v2/images/${encodeURIComponent(job.image)}`, [{ op: 'add', path: '/description', value: description }]);
      return job;
    }
    const image = await post<Image>('/image/v2/images', { name, visibility: 'private', ...this.properties });
    try {
      return await post<Job>(`/kuva/v1/images/${encodeURIComponent(image.id)}/import`, this.source());
    } catch (e) {
      await del(`/image/v2/images/${encodeURIComponent(image.id)}`).catch(() => undefined);
      throw e;
    }
  }

  private source(): unknown {
    const digest = this.digest.trim().toLowerCase();
    const lengths: Record<number, string> = { 32: 'md5', 40: 'sha1', 64: 'sha256', 128: 'sha512' };
    const checked = digest ? { digest: digest.includes(':') ? digest : `${lengths[digest.length] ?? 'sha256'}:${digest}` } : {};
    if (this.from === 'url') return { url: this.url.trim(), ...checked };
    const object = this.object.trim();
    if (this.bucket) return { bucket: { name: this.bucket, object }, ...checked };
    const region = this.region.trim();
    const keys = this.access.trim() ? { access_key: this.access.trim(), secret_key: this.secret } : {};
    return { bucket: { endpoint: this.endpoint.trim(), bucket: this.container.trim(), object, ...(region ? { region } : {}), ...keys }, ...checked };
  }
}
