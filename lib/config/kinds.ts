import { validate } from 'node-cron';
import { z } from 'zod';
import { NAME } from '../domain/ids.ts';
import { parseSize, SIZE_ALLOWED } from './size.ts';

/** A kind of value: how its text is parsed, and what is allowed, for messages, help and docs. */
export interface Kind<T> {
  readonly schema: z.ZodType<T, string>;
  readonly allowed: string;
}

export const boolean: Kind<boolean> = {
  schema: z.enum(['true', 'false']).transform((text) => text === 'true'),
  allowed: '`true` or `false`',
};

export function whole(min: number, max: number): Kind<number> {
  const schema = z
    .string()
    .regex(/^\d{1,15}$/)
    .transform(Number)
    .pipe(z.int().min(min).max(max));
  return { schema, allowed: `a whole number from ${min} to ${max}` };
}

/** A positive number, also with decimals. */
export function amount(max: number): Kind<number> {
  const schema = z
    .string()
    .regex(/^\d{1,9}(\.\d{1,3})?$/)
    .transform(Number)
    .pipe(z.number().gt(0).max(max));
  return { schema, allowed: `a number above 0 and up to ${max}` };
}

export const size: Kind<number> = {
  schema: z
    .string()
    .refine((text) => (parseSize(text) ?? 0) > 0)
    .transform((text) => parseSize(text) ?? 0),
  allowed: SIZE_ALLOWED,
};

export function oneOf<const T extends string>(...values: readonly [T, ...T[]]): Kind<T> {
  return { schema: z.enum(values), allowed: `one of ${values.map((value) => `\`${value}\``).join(', ')}` };
}

export const name: Kind<string> = {
  schema: z.string().regex(NAME),
  allowed: '1 to 31 lower-case letters, digits or dashes, beginning with a letter or digit',
};

export const path: Kind<string> = {
  schema: z.string().regex(/^\/[^\0]*$/),
  allowed: 'an absolute path',
};

export const searchPath: Kind<string> = {
  schema: z.string().regex(/^\/[^:\0]*(:\/[^:\0]*)*$/),
  allowed: 'absolute paths with `:` between them',
};

export const host: Kind<string> = {
  schema: z.string().regex(/^[A-Za-z0-9.:-]{1,253}$/),
  allowed: 'an address such as `127.0.0.1`, `::` or a host name',
};

export const domain: Kind<string> = {
  schema: z.string().regex(/^(?=.{1,190}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/),
  allowed: 'a domain such as `bots.example.org`, in lower case',
};

/** Addresses and networks with commas between them. */
export const networks: Kind<readonly string[]> = {
  schema: z
    .string()
    .transform((text) => text.split(',').flatMap((part) => part.trim() || []))
    .pipe(z.array(z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()]))),
  allowed: 'addresses and networks such as `127.0.0.1,10.0.0.0/8`; empty: none',
};

export const caddyAdmin: Kind<string> = {
  schema: z.string().regex(/^(unix:\/\/\/[^\0]+|http:\/\/([A-Za-z0-9.-]+|\[[0-9a-f:]+\]):\d{1,5})$/),
  allowed: '`http://127.0.0.1:2019` or `unix:///path/to/socket`',
};

export const httpUrl: Kind<string> = {
  schema: z.string().regex(/^https?:\/\/[^\s]{1,500}$/),
  allowed: 'a URL with http or https',
};

export const email: Kind<string> = { schema: z.email(), allowed: 'an e-mail address' };

export const dockerHost: Kind<string> = {
  schema: z.string().regex(/^(unix:\/\/\/[^\0]+|tcp:\/\/[A-Za-z0-9.-]+:\d{1,5})$/),
  allowed: '`unix:///path/to/socket` or `tcp://host:port`',
};

const KEEP = /^(?!,)(?!.*(last|daily|weekly)=.*\1=)((^|,)(last|daily|weekly)=\d{1,3})+$/;

/** How many backups of a bot are kept. */
export const keep: Kind<{ readonly last: number; readonly daily: number; readonly weekly: number }> = {
  schema: z
    .string()
    .regex(KEEP)
    .transform((text) => {
      const given = Object.fromEntries(text.split(',').map((part) => part.split('=')));
      return { last: Number(given.last ?? 1), daily: Number(given.daily ?? 0), weekly: Number(given.weekly ?? 0) };
    }),
  allowed: 'any of `last=N`, `daily=N` and `weekly=N` with commas between them',
};

/** Cron with five fields. What it means is for whoever carries it out. */
export const cron: Kind<string> = {
  schema: z.string().refine((text) => text.split(/\s+/).length === 5 && validate(text)),
  allowed: 'a cron expression of five fields such as `15 3 * * *`, in the time zone of the supervisor',
};

/** Empty means null. */
export function optional<T>(kind: Kind<T>, empty: string): Kind<T | null> {
  const schema = z.union([z.literal('').transform(() => null), kind.schema]);
  return { schema, allowed: `${kind.allowed}; empty: ${empty}` };
}
