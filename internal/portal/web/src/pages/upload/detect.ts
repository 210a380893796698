// What a file is, told by a few of its bytes, before the first one is sent. The
// service looks again and decides.

export interface Found {
  /** The Image API's word, "" where the file is packed. */
  format: string;
  /** Shown to people: "qcow2", "gzip", … */
  name: string;
  /** How large the disk in it is, where the header says so. */
  disk: number | null;
}

const text = (b: Uint8Array, from: number, n: number) => String.fromCharCode(...b.subarray(from, from + n));

/** Reads at most 64 KiB at the beginning and 512 bytes at the end. */
export async function detect(file: Blob): Promise<Found> {
  const head = new Uint8Array(await file.slice(0, 64 << 10).arrayBuffer());
  const v = new DataView(head.buffer);
  const big = (at: number) => (head.length >= at + 8 ? Number(v.getBigUint64(at)) : null);
  const little = (at: number) => (head.length >= at + 8 ? Number(v.getBigUint64(at, true)) : null);
  const is = (format: string, disk: number | null = null): Found => ({ format, name: format, disk });
  const packed = (name: string): Found => ({ format: '', name, disk: null });

  if (text(head, 0, 4) === 'QFI\xfb') return is('qcow2', big(24));
  if (text(head, 0, 4) === 'KDMV') {
    const sectors = little(12);
    return is('vmdk', sectors === null ? null : sectors * 512);
  }
  if (text(head, 0, 8) === 'vhdxfile') return is('vhdx');
  if (text(head, 0, 8) === 'conectix') return is('vhd', big(48));
  if (head.length > 72 && v.getUint32(64, true) === 0xbeda107f) return is('vdi', little(368));
  if (text(head, 0x8001, 5) === 'CD001' && text(head, 510, 2) !== '\x55\xaa') return is('iso', file.size);
  if (head[0] === 0x1f && head[1] === 0x8b) return packed('gzip');
  if (text(head, 0, 6) === '\xfd7zXZ\0') return packed('xz');
  if (text(head, 0, 3) === 'BZh') return packed('bzip2');
  if (text(head, 0, 4) === '\x28\xb5\x2f\xfd') return packed('zstd');
  if (text(head, 0, 4) === 'PK\x03\x04') return packed('zip');
  if (text(head, 257, 5) === 'ustar') return packed(/\.ovf/.test(text(head, 0, 100)) ? 'OVA' : 'tar');
  if (file.size >= 512) {
    const foot = new Uint8Array(await file.slice(file.size - 512).arrayBuffer());
    if (text(foot, 0, 8) === 'conectix') return is('vhd', Number(new DataView(foot.buffer).getBigUint64(48)));
  }
  return is('raw', file.size);
}
