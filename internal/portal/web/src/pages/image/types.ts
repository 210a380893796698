// What the page of one image reads beyond ../../lib/types: words of /kuva/v1.

export interface Views {
  views: View[];
  reason: string | null;
}

export interface View {
  format: string;
  compressed: boolean;
  subformat: string | null;
  as_sent: boolean;
  size: number;
  exact: boolean;
  ranges: boolean;
  media_type: string;
  recommended: 'run' | 'carry' | null;
  href: string;
}

export type Answer = 'yes' | 'no' | 'unsure';
export type Severity = 'boot' | 'access' | 'clone' | 'secret' | 'advice';

export interface Finding {
  id: string;
  severity: Severity;
  unsure?: boolean;
  evidence?: { path?: string; line?: number; value?: string }[];
  more?: number;
  title: string;
  consequence: string;
  mend: string;
}

export interface Partition {
  number: number;
  offset: number;
  size: number;
  type: string;
  type_name?: string;
  name?: string;
  bootable?: boolean;
  holds?: string;
}

export interface Filesystem {
  device: string;
  type: string;
  label?: string;
  uuid?: string;
  size: number;
  free: number;
  mount?: string;
  notes?: string[];
  error?: string;
}

export interface Package {
  name: string;
  version: string;
  arch?: string;
  license?: string;
  vendor?: string;
}

export interface Facts {
  disk: { size: number; used: number; table?: string; id?: string; sector?: number; data_disk: boolean };
  partitions?: Partition[];
  filesystems?: Filesystem[];
  boot: { bios: boolean; uefi: boolean; loader?: string };
  os?: {
    family: string; distro: string; name: string; version?: string; codename?: string; build?: string; arch?: string;
    hostname?: string; packager?: string; init?: string; timezone?: string; installed?: string;
  };
  kernels?: { version: string; default?: boolean; virtio?: { name: string; builtin: boolean; modules: boolean; initrd: boolean }[] }[];
  packages?: Package[];
  users?: { name: string; uid: number; shell?: string; password?: string; keys: number; sudo: boolean; default?: boolean }[];
  services?: { name: string; enabled: boolean; masked?: boolean }[];
  network: { renderers?: string[]; interfaces?: { name: string; method: string; addresses?: string[]; renderer: string; file: string }[] };
  cloud_init?: {
    version?: string; disabled?: string; datasources?: string[]; default_user?: string; bootcmd?: string[]; runcmd?: string[];
    files?: { path: string; keys?: string[]; error?: string }[];
  };
  windows?: { edition?: string; sysprep?: string; cloudbase?: Record<string, string> };
}

export interface Report {
  language: string;
  launch_mode: 'paravirtualised' | 'emulated' | null;
  facts: Facts;
  findings: Finding[];
  verdicts: {
    boots: Answer; boots_because?: string[];
    clones: Answer; clones_because?: string[];
    shares: Answer; shares_because?: string[];
  };
  notes?: { step: string; path?: string; detail: string }[];
  limit?: string;
}

export interface Activity {
  activity: { id: string; at: string; actor: string; action: string; result: string; request_id: string | null; detail: Record<string, string> }[];
  next: string | null;
}
