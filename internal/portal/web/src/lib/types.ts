// The words of the APIs, as far as pages use them. Times are RFC 3339 in UTC,
// sizes bytes, null is what is not known or not there.

export type Visibility = 'public' | 'private' | 'shared' | 'community';

/** An image of the Image API; properties of its own stand beside these. */
export interface Image {
  id: string;
  name: string | null;
  status: string;
  visibility: Visibility;
  owner: string;
  size: number | null;
  virtual_size: number | null;
  disk_format: string | null;
  container_format: string | null;
  checksum: string | null;
  os_hash_algo: string | null;
  os_hash_value: string | null;
  min_ram: number;
  min_disk: number;
  protected: boolean;
  os_hidden: boolean;
  tags: string[];
  created_at: string;
  updated_at: string;
  [property: string]: unknown;
}

export interface Images {
  images: Image[];
  next?: string;
}

export interface ImageMember {
  image_id: string;
  member_id: string;
  status: 'pending' | 'accepted' | 'rejected';
  created_at: string;
  updated_at: string;
}

export interface ImageEvent {
  id: string;
  name: string;
  project: string;
  status: string;
  visibility: Visibility;
  size: number | null;
  updated_at: string;
}

export interface Job {
  id: string;
  kind: string;
  state: 'pending' | 'running' | 'succeeded' | 'failed' | 'cancelled';
  image: string | null;
  project: string | null;
  request_id: string | null;
  attempt: number;
  cancelling: boolean;
  progress: { done: number; total: number | null; unit: string; message: string };
  failure: { code: string; sentence: string } | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
}

export interface ImageDetails {
  id: string;
  name: string;
  project: string;
  status: string;
  origin: 'uploaded' | 'imported' | 'snapshot' | 'copied' | null;
  recovered: boolean;
  owned: {
    base_image: string | null;
    instance: string | null;
    lineage: { id: string; name: string; status: string }[];
    last_failure: { code: string; sentence: string; at: string; received: number } | null;
    reads: number;
    read_at: string | null;
    cost: { stored: number; unique: number; unique_error: number } | null;
  } | null;
}

/** What the Image API does not tell of the project's own images. */
export interface OwnImage {
  id: string;
  origin: ImageDetails['origin'];
  reads: number;
  read_at: string | null;
}

/** An image that another project offers to this one. */
export interface MoveOffer {
  image: string;
  name: string;
  from: string;
  to: string;
  size: number | null;
  disk_format: string | null;
  container_format: string | null;
  created_at: string;
}
