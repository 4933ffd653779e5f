import { z } from 'zod';
import type { Kind } from './kinds.ts';

/** Where backups are kept. */
export type BackupLocation =
  | { readonly kind: 'folder'; readonly path: string }
  | {
      readonly kind: 's3';
      readonly bucket: string;
      /** Before the names of all files; empty or ending with a slash. */
      readonly prefix: string;
      readonly region: string;
      /** Null: Amazon's own. */
      readonly endpoint: string | null;
      /** Bucket in the path instead of the host's name, as most servers but Amazon's want it. */
      readonly pathStyle: boolean;
      /** File with the key's id in its first line and the secret in its second; null: as AWS's own tools find them. */
      readonly credentialsFile: string | null;
    };

/** `file:/path`, or a bucket. */
export const backupUrl: Kind<BackupLocation> = {
  schema: z.string().transform((text, context) => {
    const location = parseBackupUrl(text);
    if (location !== null) return location;
    context.addIssue({ code: 'custom' });
    return z.NEVER;
  }),
  allowed:
    '`file:` and an absolute path; or `s3://BUCKET[/PREFIX]` with any of `?region=NAME`, `&endpoint=https://HOST[:PORT]` (plain `http:` only on this machine) and `&credentialsFile=PATH`',
};

/** Null for what is neither. */
export function parseBackupUrl(text: string): BackupLocation | null {
  if (/^file:(\/\/)?\/[^\0]+$/.test(text)) return { kind: 'folder', path: text.replace(/^file:(\/\/(?=\/))?/, '') };
  if (!/^s3:\/\/[^/]/.test(text) || !URL.canParse(text)) return null;
  const url = new URL(text);
  const chosen = options.safeParse(Object.fromEntries(url.searchParams));
  const bucket = url.host;
  if (!chosen.success || !BUCKET.test(bucket) || url.hash !== '' || url.username !== '') return null;
  const path = decodeURIComponent(url.pathname).replaceAll(/^\/+|\/+$/g, '');
  const { region, endpoint, credentialsFile } = chosen.data;
  return {
    kind: 's3',
    bucket,
    prefix: path === '' ? '' : `${path}/`,
    region,
    endpoint,
    pathStyle: endpoint !== null,
    credentialsFile,
  };
}

// Private

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

/** Keys and trades go over it, so it is encrypted wherever it leaves the machine. */
function isSafe(address: string): boolean {
  if (!URL.canParse(address)) return false;
  const { protocol, hostname, pathname, username } = new URL(address);
  if (pathname !== '/' || username !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && ['127.0.0.1', 'localhost', '[::1]'].includes(hostname));
}

/** Strict, because a misspelt option would silently do nothing. */
const options = z.strictObject({
  region: z
    .string()
    .regex(/^[a-z0-9-]{2,40}$/)
    .default('us-east-1'),
  endpoint: z.string().refine(isSafe).nullable().default(null),
  credentialsFile: z
    .string()
    .regex(/^\/[^\0]+$/)
    .nullable()
    .default(null),
});
