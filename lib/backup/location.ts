/** Where a vault is; as the setting BACKUP_URL has it. */
export type VaultLocation = { readonly kind: 'folder'; readonly path: string } | S3Location;

export interface S3Location {
  readonly kind: 's3';
  readonly bucket: string;
  readonly prefix: string;
  readonly region: string;
  readonly endpoint: string | null;
  readonly pathStyle: boolean;
  readonly credentialsFile: string | null;
}
