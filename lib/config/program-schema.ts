import { z } from 'zod';
import { FILE_PATH } from '../domain/ids.ts';
import { parseSize, SIZE_ALLOWED } from './size.ts';

/** What the forms of all programs have in common, those of bots and of shared services. */

const DAY = 86_400;
export const seconds = (min: number) => z.number().min(min).max(DAY);
export const withoutNul = z.string().refine((text) => !text.includes('\0'), 'must not hold a NUL character');
export const filePath = z.string().regex(FILE_PATH, 'must be a relative path without empty, "." or ".." parts');
export const command = z.array(withoutNul).min(1, 'must hold at least the program').readonly();

const mode = z
  .string('must be an octal mode in quotes, such as "0600"')
  .regex(/^0?[0-7]{3}$/, 'must be an octal mode such as "0600"')
  .transform((text) => Number.parseInt(text, 8));

const size = (least: number, inWords: string) =>
  z
    .string(`must be ${SIZE_ALLOWED}`)
    .transform((text) => parseSize(text) ?? Number.NaN)
    .pipe(z.number(`must be ${SIZE_ALLOWED}`).min(least, `must be ${inWords} or more`));

export const file = z
  .strictObject({
    path: filePath,
    mode: mode.default(0o600),
    when: z.enum(['always', 'absent']).default('always'),
    text: z.string().exactOptional(),
    json: z.json().exactOptional(),
  })
  .refine(({ text, json }) => (text === undefined) !== (json === undefined), 'needs one of text, textFrom and json')
  .transform(({ text, json, ...rest }) => ({ ...rest, content: text === undefined ? { json } : { text } }));

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGKILL'] as const;
export const stop = z.strictObject({
  signal: z.enum(SIGNALS).default('SIGTERM'),
  graceSeconds: seconds(0).default(10),
});

export const backoff = z
  .strictObject({
    minSeconds: seconds(0.1).default(1),
    maxSeconds: seconds(0.1).default(60),
    healthySeconds: seconds(0).default(60),
  })
  .refine(({ minSeconds, maxSeconds }) => minSeconds <= maxSeconds, {
    path: ['minSeconds'],
    message: 'must not be more than maxSeconds',
  });

export const limits = z
  .strictObject({
    memory: size(2 ** 24, '16MiB')
      .nullable()
      .default(null),
    pss: size(2 ** 24, '16MiB')
      .nullable()
      .default(null),
    disk: size(2 ** 20, '1MiB')
      .nullable()
      .default(null),
    cpuWeight: z.int().min(1).max(10_000).default(100),
    openFiles: z.int().min(16).max(1_048_576).nullable().default(null),
    processes: z.int().min(1).max(100_000).nullable().default(null),
    nice: z.int().min(0).max(19).default(0),
  })
  .transform(({ memory, pss, disk, ...rest }) => ({ memoryBytes: memory, pssBytes: pss, diskBytes: disk, ...rest }));

export const variableName = z
  .string()
  .regex(/^(?!__proto__$)[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'must be the name of a variable');

export const exec = z.strictObject({
  kind: z.literal('exec'),
  command,
  stdin: z.string().default(''),
  timeoutSeconds: z.number().min(0.1).max(3600).default(60),
});
