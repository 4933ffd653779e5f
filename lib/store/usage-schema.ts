import { z } from 'zod';
import { INSTANCE_ID, NAME, OWNER_ID } from '../domain/ids.ts';
import type { OpenLedger, Period, UsageEntry } from '../domain/usage.ts';

/** Forms of usage in files: short, because there may be a line for each of thousands of bots in each hour. */

const amount = z.number().nonnegative();
const owner = z.string().regex(OWNER_ID);
const bot = z.string().regex(INSTANCE_ID);
const hour = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d$/);

/** By owner, then bot: seconds running, byte-seconds of PSS, CPU seconds. */
const usage = z.record(owner, z.record(bot, z.tuple([amount, amount, amount])));

const reading = z.strictObject({
  owner,
  container: z.string(),
  at: amount,
  restarts: z.int().min(0),
  process: z
    .strictObject({ pid: z.int().min(0), startedAt: amount, cpuSeconds: amount, pssBytes: amount.nullable() })
    .nullable(),
});

export const openFile = z.strictObject({
  schema: z.literal(1),
  readings: z.record(bot, reading),
  periods: z.record(hour, usage),
});

export const aloneFile = z.strictObject({
  schema: z.literal(1),
  samples: z.array(
    z.strictObject({
      template: z.string().regex(NAME),
      version: z.string(),
      pssBytes: amount,
      container: z.string(),
      at: z.iso.datetime(),
    }),
  ),
});

/** `hours`: of a day, those it has taken in. */
export const periodFile = z.strictObject({ schema: z.literal(1), hours: z.array(hour).exactOptional(), usage });

export type StoredUsage = z.infer<typeof usage>;
export type OpenFile = z.infer<typeof openFile>;
export type AloneFile = z.infer<typeof aloneFile>;
export type PeriodFile = z.infer<typeof periodFile>;

export function encodeOpen({ readings, periods }: OpenLedger): OpenFile {
  return {
    schema: 1,
    readings: Object.fromEntries(readings),
    periods: Object.fromEntries([...periods].map(([period, entries]) => [period, encodeUsage(entries)])),
  };
}

export function decodeOpen({ readings, periods }: OpenFile): OpenLedger {
  const decoded = Object.entries(periods).map(([period, stored]): [Period, UsageEntry[]] => [
    period,
    decodeUsage(stored),
  ]);
  return { readings: new Map(Object.entries(readings)), periods: new Map(decoded) };
}

export function encodeUsage(entries: readonly UsageEntry[]): StoredUsage {
  const byOwner = Map.groupBy(entries, ({ owner }) => owner);
  return Object.fromEntries([...byOwner].map(([owner, theirs]) => [owner, Object.fromEntries(theirs.map(lineOf))]));
}

export function decodeUsage(stored: StoredUsage): UsageEntry[] {
  return Object.entries(stored).flatMap(([owner, bots]) =>
    Object.entries(bots).map(([bot, [runningSeconds, pssByteSeconds, cpuSeconds]]) => ({
      owner,
      bot,
      usage: { runningSeconds, pssByteSeconds, cpuSeconds },
    })),
  );
}

// Private

function lineOf({ bot, usage }: UsageEntry): [string, StoredUsage[string][string]] {
  return [bot, [milli(usage.runningSeconds), Math.round(usage.pssByteSeconds), milli(usage.cpuSeconds)]];
}

const milli = (amount: number): number => Math.round(amount * 1000) / 1000;
