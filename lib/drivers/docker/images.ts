/** Names of the images, written here only. */
export const BASE_IMAGE = 'debian:trixie-slim';
export const POOL_IMAGE = 'bunkhouse/pool:0.1.0';
export const FREQTRADE_IMAGE = 'bunkhouse/freqtrade:2026.9';
export const WORDPRESS_IMAGE = 'bunkhouse/wordpress:0.1.0';

export interface ImageSource {
  readonly tag: string;
  /** Passed to the Dockerfile as BASE. */
  readonly base: string;
  /** Its build context, relative to the repository. */
  readonly folder: string;
}

/** What scripts/build-images builds, bases first. */
export const IMAGES: readonly ImageSource[] = [
  { tag: POOL_IMAGE, base: BASE_IMAGE, folder: 'docker/pool' },
  { tag: FREQTRADE_IMAGE, base: POOL_IMAGE, folder: 'docker/freqtrade' },
  { tag: WORDPRESS_IMAGE, base: POOL_IMAGE, folder: 'docker/wordpress' },
];
