import { createFolderVault } from './folder.ts';
import type { VaultLocation } from './location.ts';
import type { Vault } from './vault.ts';

/** Throws STORE_UNAVAILABLE. The client for buckets is loaded only when it is needed. */
export async function openVault(location: VaultLocation): Promise<Vault> {
  if (location.kind === 'folder') return createFolderVault(location.path);
  const { openS3Vault } = await import('./s3.ts');
  return openS3Vault(location);
}
