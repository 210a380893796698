// The files that clients log in with, and the addresses in them.
import { get } from '../../lib/api';
import type { Session } from '../../lib/session.svelte';

/** Where clients find the services. */
export interface Place {
  /** Of the identity service, with its version. */
  auth: string;
  /** Of the Image API, without a version. */
  image: string;
  region: string;
}

/** A credential that was just made; its secret is told once. */
export interface Secret {
  id: string;
  name: string;
  secret: string;
}

interface Catalogue {
  catalog: { type: string; endpoints: { interface: string; region: string; url: string }[] }[];
}

const trim = (url: string) => url.replace(/\/+$/, '');

/** Asks the catalogue, which knows the addresses that the operator set. */
export async function findPlace(): Promise<Place> {
  const { catalog } = await get<Catalogue>('/identity/v3/auth/catalog');
  const of = (type: string) => catalog.find((s) => s.type === type)?.endpoints.find((e) => e.interface === 'public');
  const auth = trim(of('identity')?.url ?? `${location.origin}/identity`);
  const image = of('image');
  return {
    auth: /\/v3$/.test(auth) ? auth : `${auth}/v3`,
    image: trim(image?.url ?? `${location.origin}/image`).replace(/\/v2$/, ''),
    region: image?.region ?? 'RegionOne',
  };
}

/** In double quotes JSON is YAML. */
const yaml = (s: string) => JSON.stringify(s);
const shell = (s: string) => (/^[\w@%+=:,./-]+$/.test(s) ? s : `'${s.replaceAll("'", `'\\''`)}'`);

/** The name of the cloud in the files and in the commands. */
export const cloud = 'kuva';

/** clouds.yaml for a user, who is asked for the password, or for a credential. */
export function cloudsFile(p: Place, s: Session, made?: Secret): string {
  const auth: [string, string][] = made
    ? [['application_credential_id', made.id], ['application_credential_secret', made.secret]]
    : [['username', s.user.name], ['user_domain_name', s.domain.name], ...(s.project ? ([['project_id', s.project.id], ['project_name', s.project.name]] as [string, string][]) : [])];
  return [
    'clouds:',
    `  ${cloud}:`,
    ...(made ? ['    auth_type: v3applicationcredential'] : []),
    '    auth:',
    `      auth_url: ${yaml(p.auth)}`,
    ...auth.map(([name, value]) => `      ${name}: ${yaml(value)}`),
    `    region_name: ${yaml(p.region)}`,
    '    identity_api_version: 3',
    '',
  ].join('\n');
}

/** openrc, to be read by a shell; it asks for the password where it holds no
 * credential. */
export function openrc(p: Place, s: Session, made?: Secret): string {
  const set: [string, string][] = [['OS_AUTH_URL', p.auth], ['OS_IDENTITY_API_VERSION', '3'], ['OS_REGION_NAME', p.region]];
  if (made) set.push(['OS_AUTH_TYPE', 'v3applicationcredential'], ['OS_APPLICATION_CREDENTIAL_ID', made.id], ['OS_APPLICATION_CREDENTIAL_SECRET', made.secret]);
  else {
    set.push(['OS_USERNAME', s.user.name], ['OS_USER_DOMAIN_NAME', s.domain.name]);
    if (s.project) set.push(['OS_PROJECT_ID', s.project.id], ['OS_PROJECT_NAME', s.project.name]);
  }
  // What was set for another cloud would be in the way.
  const lines = ['for name in $(env | sed -n \'s/^\\(OS_[A-Z_]*\\)=.*/\\1/p\'); do unset "$name"; done', ...set.map(([name, value]) => `export ${name}=${shell(value)}`)];
  if (!made) {
    lines.push('printf \'%s: \' "$OS_USERNAME" >&2', 'stty -echo 2>/dev/null; read -r OS_PASSWORD; stty echo 2>/dev/null; echo >&2', 'export OS_PASSWORD');
  }
  return lines.join('\n') + '\n';
}

/** Gets a token with curl, by what openrc of a credential sets, and lists images. */
export function curlCommands(p: Place): string {
  const body =
    '{\\"auth\\": {\\"identity\\": {\\"methods\\": [\\"application_credential\\"], \\"application_credential\\": ' +
    '{\\"id\\": \\"$OS_APPLICATION_CREDENTIAL_ID\\", \\"secret\\": \\"$OS_APPLICATION_CREDENTIAL_SECRET\\"}}}}';
  return [
    `TOKEN=$(curl -sSf -o /dev/null -D - ${shell(`${p.auth}/auth/tokens`)} \\`,
    `  -H 'Content-Type: application/json' \\`,
    `  -d "${body}" |`,
    `  tr -d '\\r' | sed -n 's/^[Xx]-[Ss]ubject-[Tt]oken: //p')`,
    `curl -sSf -H "X-Auth-Token: $TOKEN" ${shell(`${p.image}/v2/images`)}`,
  ].join('\n');
}
