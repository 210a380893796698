/** A project of the identity API. */
export interface Project {
  id: string;
  name: string;
  description: string;
  enabled: boolean;
  domain_id: string;
}

/** A user of the identity API. */
export interface User {
  id: string;
  name: string;
  email?: string;
  description?: string;
  enabled: boolean;
  domain_id: string;
  default_project_id?: string;
}

export interface Role {
  id: string;
  name: string;
}

interface Thing {
  id: string;
  name?: string;
}

/** Who has which role where; groups stand in for their users. */
export interface Assignment {
  role: Thing;
  user?: Thing;
  group?: Thing;
  scope: { project?: Thing; domain?: Thing; system?: object };
}

/** Limits by name; -1 is unlimited. */
export type Limits = Record<(typeof limitNames)[number], number>;
export const limitNames = ['bytes', 'images', 'uploads', 'image_size', 'virtual_size', 'members', 'tags', 'properties'] as const;
export const inBytes: string[] = ['bytes', 'image_size', 'virtual_size'];

export interface Quota {
  project: string;
  limits: Limits;
  use: { images: number; bytes: number; reserved: number; uploads: number };
}

export interface Tally {
  count: number;
  bytes: number;
}

/** What the store holds. */
export interface Depot {
  read_only: boolean;
  why: string | null;
  cycle: number;
  objects: Tally;
  live: Tally;
  garbage: number;
  open: Tally;
  condemned: Tally;
}

/** What a cycle of the collector would do. */
export interface Plan {
  steps: string[];
  notes: string[];
  objects: Tally;
  condemned: Tally;
  deleted: Tally;
  garbage: number;
}
