// Names of projects: those of the session are known to everybody, the others
// to administrators.
import { ApiError, get } from '../../lib/api';
import { t } from '../../lib/i18n.svelte';
import { session, type Named } from '../../lib/session.svelte';

const names = $state<Record<string, string>>({});
const asked = new Set<string>();

/** The name of a project, its id where that is not told. */
export function projectName(id: string): string {
  const own = session.now?.projects.find((p) => p.id === id)?.name ?? names[id];
  if (own) return own;
  if (session.now?.admin && !asked.has(id)) {
    asked.add(id);
    void get<{ project: Named }>(`/identity/v3/projects/${encodeURIComponent(id)}`)
      .then((x) => (names[id] = x.project.name))
      .catch(() => undefined);
  }
  return id;
}

/** The id of a project that somebody typed, as an id or as a name. Throws a
 * sentence where several have the name. */
export async function projectID(typed: string): Promise<string> {
  const wanted = typed.trim();
  const own = session.now?.projects.filter((p) => p.name === wanted) ?? [];
  if (own.length === 1) return own[0]!.id;
  if (!session.now?.admin) return wanted; // others do not tell names
  const { projects } = await get<{ projects: Named[] }>(`/identity/v3/projects?name=${encodeURIComponent(wanted)}`);
  if (projects.length > 1) throw new ApiError(409, '', t('image.project.several', { name: wanted }), '');
  return projects[0]?.id ?? wanted;
}
