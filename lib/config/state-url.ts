import { z } from 'zod';
import type { Kind } from './kinds.ts';

/** Where the state is kept. */
export type StateLocation =
  | { readonly kind: 'file'; readonly path: string }
  | {
      readonly kind: 'valkey';
      readonly host: string;
      readonly port: number;
      readonly tls: boolean;
      readonly db: number;
      readonly prefix: string;
      readonly username: string | null;
      readonly password: string | null;
      readonly passwordFile: string | null;
      readonly leaseMs: number;
    };

/** `file:/path`, or the address of a Valkey or Redis server. */
export const stateUrl: Kind<StateLocation> = {
  schema: z.string().transform((text, context) => {
    const location = parseStateUrl(text);
    if (location !== null) return location;
    context.addIssue({ code: 'custom' });
    return z.NEVER;
  }),
  allowed:
    '`file:` and an absolute path; or `valkey://[USER:PASSWORD@]HOST[:PORT][/DB]` (also `redis:`, and with TLS `valkeys:` and `rediss:`) with any of `?prefix=NAME`, `&passwordFile=PATH` and `&lease=SECONDS`',
};

/** Null for what is neither. */
export function parseStateUrl(text: string): StateLocation | null {
  if (/^file:(\/\/)?\/[^\0]+$/.test(text)) return { kind: 'file', path: text.replace(/^file:(\/\/(?=\/))?/, '') };
  if (!/^(valkey|redis)s?:\/\/[^/]/.test(text) || !URL.canParse(text)) return null;
  const url = new URL(text);
  const place = server.safeParse({
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 6379 : Number(url.port),
    db: url.pathname.replace(/^\//, '') || '0',
    username: decoded(url.username),
    password: decoded(url.password),
  });
  const chosen = options.safeParse(Object.fromEntries(url.searchParams));
  if (!place.success || !chosen.success || url.hash !== '') return null;
  const { lease, ...rest } = chosen.data;
  return { kind: 'valkey', tls: url.protocol.endsWith('s:'), ...place.data, ...rest, leaseMs: lease * 1000 };
}

// Private

const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,4}$/)
    .transform(Number)
    .pipe(z.int().min(min).max(max));

const server = z.object({
  host: z.string().regex(/^[A-Za-z0-9.:-]{1,253}$/),
  port: z.int().min(1).max(65535),
  db: wholeNumber(0, 9999),
  username: z.string().nullable(),
  password: z.string().nullable(),
});

/** Strict, because a misspelt option would silently do nothing. */
const options = z.strictObject({
  prefix: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/)
    .default('bunkhouse'),
  passwordFile: z
    .string()
    .regex(/^\/[^\0]+$/)
    .nullable()
    .default(null),
  lease: wholeNumber(1, 300).default(10),
});

/** Null when it is empty, or no text at all. */
function decoded(part: string): string | null {
  try {
    return part === '' ? null : decodeURIComponent(part);
  } catch {
    return null;
  }
}
