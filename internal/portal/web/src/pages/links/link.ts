// Links as /kuva/v1/links has them.

export interface AccessLink {
  id: string;
  image: string;
  project: string;
  user: string;
  read: boolean;
  write: boolean;
  format: string | null;
  compress: boolean;
  state: 'live' | 'expired' | 'used_up';
  uses_most: number | null;
  uses: number;
  used_at: string | null;
  used_from: string | null;
  created_at: string;
  expires_at: string;
  /** Told once, to who made it. */
  url: string | null;
}

export interface AccessLinks {
  links: AccessLink[];
  next: string | null;
}
