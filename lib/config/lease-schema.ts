import { validate as isCron } from 'node-cron';
import { z } from 'zod';
import { NAME } from '../domain/ids.ts';
import { exec, filePath } from './program-schema.ts';

/** The form of a template's `lease` section. */

const DAY = 86_400;
const count = z.int().min(0).max(10_000);

/** Of five fields: windows open at a whole minute. */
function isCron5(text: string): boolean {
  return text.trim().split(/\s+/).length === 5 && isCron(text);
}

const window = z.strictObject({
  cron: z.string().refine(isCron5, 'must be a cron expression of five fields such as "0 9 * * 1-5"'),
  minutes: z
    .int()
    .min(1)
    .max(7 * 24 * 60),
  target: count,
});

const reserve = z.strictObject({
  target: count.nullable().default(null),
  locations: z.record(z.string().regex(NAME, 'must be the name of a location'), count).readonly().default({}),
  min: count.nullable().default(null),
  batchSize: z.int().min(1).max(1000).nullable().default(null),
  batchSpacingSeconds: z.number().min(0).max(DAY).nullable().default(null),
  windows: z.array(window).readonly().default([]),
});

const clear = z.strictObject({
  kind: z.literal('clear'),
  keep: z.array(filePath).readonly().default([]),
});

const reset = z
  .strictObject({
    steps: z
      .array(z.discriminatedUnion('kind', [exec, clear], 'must be exec or clear'))
      .readonly()
      .default([]),
    verify: z.array(exec).readonly().default([]),
  })
  .refine(({ steps, verify }) => verify.length > 0 || steps.some(({ kind }) => kind === 'clear'), {
    message: 'must have a step of kind clear or a check under verify; without reset, bots are deleted after a lease',
  });

export const lease = z
  .strictObject({
    ttlSeconds: z.number().min(1).max(DAY).default(1800),
    maxTtlSeconds: z
      .number()
      .min(1)
      .max(365 * DAY)
      .default(DAY),
    perOwner: z.int().min(1).nullable().default(null),
    access: z
      .record(z.string().regex(/^(?!__proto__$)[A-Za-z][A-Za-z0-9_]{0,30}$/, 'must be a name'), z.string())
      .default({}),
    reserve: reserve.prefault({}),
    reset: reset.nullable().default(null),
  })
  .refine(({ ttlSeconds, maxTtlSeconds }) => ttlSeconds <= maxTtlSeconds, {
    path: ['ttlSeconds'],
    message: 'must not be more than maxTtlSeconds',
  });
