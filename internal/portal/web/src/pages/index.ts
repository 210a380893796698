// Every page of the portal, and where the navigation names it. A page is a
// folder beside this file; add a line here for it.
import type { IconName } from '../components/icons';
import type { Key } from '../lib/i18n.svelte';
import type { Page } from '../lib/router.svelte';

/** Where "/" leads. */
export const home = '/images/private';

/** The first one that fits is shown. */
export const pages: Page[] = [
  { path: '/images', title: 'images.title', load: () => import('./images/List.svelte') },
  { path: '/images/platform', title: 'images.platform', load: () => import('./images/Platform.svelte') },
  { path: '/images/private', title: 'images.private', load: () => import('./images/Private.svelte') },
  { path: '/images/shared', title: 'images.shared', load: () => import('./images/Shared.svelte') },
  { path: '/images/community', title: 'images.community', load: () => import('./images/Community.svelte') },
  { path: '/images/:id', title: 'image.title', load: () => import('./image/Image.svelte') },
  { path: '/import', title: 'import.title', load: () => import('./import/Import.svelte') },
  { path: '/jobs', title: 'jobs.title', load: () => import('./jobs/Jobs.svelte') },
  { path: '/usage', title: 'usage.title', load: () => import('./usage/Usage.svelte') },
  { path: '/access', title: 'access.title', load: () => import('./access/Page.svelte') },
  { path: '/links', title: 'links.title', load: () => import('./links/Links.svelte') },
  { path: '/uploads', title: 'uploads.title', load: () => import('./uploads/Uploads.svelte') },
  { path: '/admin', title: 'admin.title', admin: true, load: () => import('./admin/Page.svelte') },
  { path: '/help', title: 'help.title', open: true, load: () => import('./help/Help.svelte') },
];

/** A line of the navigation, on the left. */
export interface NavItem {
  path: string;
  text: Key;
  icon: IconName;
  admin?: boolean;
  /** Lines below this one. */
  items?: NavItem[];
  /** Other words that people look for this by; the search finds them. */
  synonyms?: Key;
}

export const nav: NavItem[] = [
  {
    path: '/images',
    text: 'nav.images',
    icon: 'image',
    synonyms: 'nav.images.synonyms',
    items: [
      { path: '/images/platform', text: 'images.platform', icon: 'platform', synonyms: 'images.platform.synonyms' },
      { path: '/images/private', text: 'images.private', icon: 'private', synonyms: 'images.private.synonyms' },
      { path: '/images/shared', text: 'images.shared', icon: 'shared', synonyms: 'images.shared.synonyms' },
      { path: '/images/community', text: 'images.community', icon: 'community', synonyms: 'images.community.synonyms' },
    ],
  },
  { path: '/import', text: 'nav.import', icon: 'import', synonyms: 'nav.import.synonyms' },
  { path: '/jobs', text: 'jobs.title', icon: 'jobs', synonyms: 'nav.jobs.synonyms' },
  { path: '/usage', text: 'usage.title', icon: 'usage', synonyms: 'nav.usage.synonyms' },
  { path: '/access', text: 'access.title', icon: 'key', synonyms: 'nav.access.synonyms' },
  { path: '/links', text: 'nav.links', icon: 'link', synonyms: 'nav.links.synonyms' },
  { path: '/uploads', text: 'nav.uploads', icon: 'upload', synonyms: 'nav.uploads.synonyms' },
  { path: '/admin', text: 'admin.title', icon: 'admin', admin: true, synonyms: 'nav.admin.synonyms' },
  { path: '/help', text: 'nav.help', icon: 'help', synonyms: 'nav.help.synonyms' },
];
