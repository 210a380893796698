import { call } from '../../lib/api';

/** Changes members of a thing of the identity API. */
export async function change(kind: 'project' | 'user', id: string, members: Record<string, unknown>): Promise<void> {
  await call(`/identity/v3/${kind}s/${encodeURIComponent(id)}`, { method: 'PATCH', body: { [kind]: members } });
}
