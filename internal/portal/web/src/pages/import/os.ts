// Systems that the wizard offers, and what the name of a file tells of them.
// Their names are those of os-release, as the doctor finds them inside.

export interface System {
  distro: string;
  name: string;
  family: 'linux' | 'windows';
  /** As os-release has them, newest first. */
  versions: string[];
  /** Beginnings of words in file names, beside distro. */
  words?: string[];
}

export const systems: System[] = [
  { distro: 'almalinux', name: 'AlmaLinux', family: 'linux', versions: ['10', '9', '8'], words: ['alma'] },
  { distro: 'alpine', name: 'Alpine Linux', family: 'linux', versions: ['3.22', '3.21', '3.20', '3.19'] },
  { distro: 'arch', name: 'Arch Linux', family: 'linux', versions: [], words: ['archlinux'] },
  { distro: 'centos', name: 'CentOS', family: 'linux', versions: ['10', '9', '8', '7', '6'] },
  { distro: 'debian', name: 'Debian', family: 'linux', versions: ['13', '12', '11', '10', '9', '8'] },
  { distro: 'fedora', name: 'Fedora', family: 'linux', versions: ['43', '42', '41', '40'] },
  { distro: 'opensuse-leap', name: 'openSUSE Leap', family: 'linux', versions: ['16.0', '15.6', '15.5'], words: ['opensuse'] },
  { distro: 'ol', name: 'Oracle Linux', family: 'linux', versions: ['10', '9', '8', '7'], words: ['oracle'] },
  { distro: 'rhel', name: 'Red Hat Enterprise Linux', family: 'linux', versions: ['10', '9', '8', '7', '6'], words: ['redhat'] },
  { distro: 'rocky', name: 'Rocky Linux', family: 'linux', versions: ['10', '9', '8'] },
  { distro: 'sles', name: 'SUSE Linux Enterprise Server', family: 'linux', versions: ['16.0', '15.7', '15.6', '12.5'], words: ['sle'] },
  { distro: 'ubuntu', name: 'Ubuntu', family: 'linux', versions: ['26.04', '25.10', '24.04', '22.04', '20.04', '18.04', '16.04'] },
  { distro: 'windows', name: 'Windows', family: 'windows', versions: ['Server 2025', 'Server 2022', 'Server 2019', 'Server 2016', 'Server 2012', '11', '10'], words: ['win'] },
];

/** Versions that files are named after. */
const codenames: Record<string, [string, string]> = {
  trixie: ['debian', '13'], bookworm: ['debian', '12'], bullseye: ['debian', '11'], buster: ['debian', '10'], stretch: ['debian', '9'], jessie: ['debian', '8'],
  resolute: ['ubuntu', '26.04'], questing: ['ubuntu', '25.10'], noble: ['ubuntu', '24.04'], jammy: ['ubuntu', '22.04'], focal: ['ubuntu', '20.04'], bionic: ['ubuntu', '18.04'], xenial: ['ubuntu', '16.04'],
};

/** The system that a file is named after, if any: debian-12-generic.qcow2. */
export function guess(file: string): { distro: string; version: string } | undefined {
  const text = file.toLowerCase();
  for (const word of text.split(/[^a-z]+/)) {
    const known = codenames[word];
    if (known) return { distro: known[0], version: known[1] };
  }
  for (const s of systems) {
    const begin = [s.distro, ...(s.words ?? [])].find((w) => new RegExp(`(^|[^a-z])${w}`).test(text));
    if (!begin) continue;
    const rest = text.slice(text.indexOf(begin) + begin.length);
    const fits = (v: string) => new RegExp(`(^|[^0-9.])${v.toLowerCase().replace(/^server /, '').replace('.', '[._-]?')}($|[^0-9])`).test(rest);
    return { distro: s.distro, version: s.versions.find(fits) ?? '' };
  }
  return undefined;
}
