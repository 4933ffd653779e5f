import type { Addresses } from '../../lib/domain/hosts.ts';

/** No bot has a host name. */
export const BY_PATH: Addresses = { baseDomain: null, scheme: 'http', port: 4000 };
