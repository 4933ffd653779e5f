import { z } from 'zod';
import { BACKUP_KINDS, type BackupFacts, type KeptBot } from '../domain/backup.ts';

const troubles = z.array(z.object({ path: z.string(), why: z.string() }));
const amount = z.int().min(0).nullable();

/** Of `ID.json`. */
export const factsSchema = z.object({
  id: z.string(),
  bot: z.string(),
  owner: z.string().nullable(),
  template: z.string().nullable(),
  kind: z.enum(BACKUP_KINDS),
  createdAt: z.iso.datetime(),
  bytes: z.int().min(0),
  sha256: z.string().nullable(),
  files: amount,
  unpackedBytes: amount,
  databases: amount,
  damaged: troubles,
  skipped: troubles,
}) satisfies z.ZodType<BackupFacts>;

const limit = z.int().min(0);

/** Of `ID.bot.json`. */
export const keptBot = z.object({
  template: z.string(),
  owner: z.string(),
  group: z.string(),
  location: z.string(),
  files: z.record(z.string(), z.string()),
  env: z.record(z.string(), z.string()),
  args: z.array(z.string()),
  limits: z.object({
    memoryBytes: limit.nullable().exactOptional(),
    pssBytes: limit.nullable().exactOptional(),
    diskBytes: limit.nullable().exactOptional(),
    cpuWeight: limit.exactOptional(),
    openFiles: limit.nullable().exactOptional(),
    processes: limit.nullable().exactOptional(),
    nice: limit.exactOptional(),
  }),
  secrets: z.record(z.string(), z.string()),
  desired: z.enum(['running', 'paused', 'stopped']),
  createdAt: z.iso.datetime(),
}) satisfies z.ZodType<KeptBot>;
