// Words of /kuva/v1 that this page reads; -1 is unlimited.
export interface Quota {
  project: string;
  limits: Record<'images' | 'bytes' | 'image_size' | 'virtual_size' | 'members' | 'tags' | 'properties' | 'uploads', number>;
  use: { images: number; bytes: number; reserved: number; uploads: number };
}

export interface UsageDay {
  day: string;
  images: number;
  shown: number;
  stored: number;
  unique: number;
}
