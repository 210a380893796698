/** An application credential of the identity API. */
export interface Credential {
  id: string;
  name: string;
  description: string | null;
  project_id: string;
  roles: { id: string; name: string }[];
  expires_at: string | null;
  unrestricted: boolean;
  access_rules?: unknown[];
}
