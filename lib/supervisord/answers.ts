import { z } from 'zod';
import type {
  AgentObservation,
  ArchiveInfo,
  BackupInfo,
  BotObservation,
  ListenerObservation,
  LogChunk,
  RestoredInfo,
  ServiceObservation,
  WaitResult,
  ZygoteObservation,
} from '../domain/agent.ts';
import { INSTANCE_ID, NAME } from '../domain/ids.ts';
import type { BotLimits } from '../domain/template.ts';

/** Version of the plugin's wire protocol this orchestrator speaks. */
export const PROTOCOL = 3;

const count = z.number().int().nonnegative();
const time = z.number().nonnegative();
const memory = z
  .object({ pssBytes: count, rssBytes: count, privateBytes: count, sharedBytes: count, swapBytes: count })
  .nullable();

const processState = z.enum(['starting', 'running', 'backoff', 'stopping', 'stopped']);
const exit = z
  .object({ code: z.number().int().nullable(), signal: z.string().nullable(), at: time, expected: z.boolean() })
  .nullable();

const limits = z.object({
  memoryBytes: count.nullable(),
  pssBytes: count.nullable(),
  diskBytes: count.nullable(),
  cpuWeight: count.min(1).max(10_000),
  openFiles: count.nullable(),
  processes: count.nullable(),
  nice: count,
}) satisfies z.ZodType<BotLimits>;

/** Answers are data from inside a container, where tenants run: checked before anything believes them. */
export const botObservation = z.object({
  bot: z.string().regex(INSTANCE_ID),
  slot: count,
  port: count.max(65_535),
  generation: count,
  run: z.boolean(),
  limits,
  state: processState,
  pid: count.nullable(),
  startedAt: time.nullable(),
  readyAt: time.nullable(),
  startedGeneration: count.nullable(),
  nextStartAt: time.nullable(),
  restarts: count,
  lastExit: exit,
  status: z.string(),
  listener: z.enum(['self', 'other', 'none']).nullable(),
  memory,
  cpuSeconds: time.nullable(),
  openFiles: count.nullable(),
  diskBytes: count.nullable(),
  spawn: z.object({ kind: z.enum(['prefork', 'exec']), reason: z.string() }).nullable(),
  // Containers that were made by an older version do not tell.
  marks: z.record(z.string(), z.string()).nullable().default(null),
  reason: z.string(),
  warning: z.string(),
}) satisfies z.ZodType<BotObservation>;

const zygote = z.object({
  key: z.string(),
  state: z.enum(['starting', 'ready', 'failed']),
  pid: count.nullable(),
  reason: z.string(),
  python: z.string(),
  modules: count,
  immortal: z.boolean(),
  merge: z.boolean(),
  notes: z.array(z.string()),
  starts: count,
  forks: count,
  memory,
}) satisfies z.ZodType<ZygoteObservation>;

const service = z.object({
  name: z.string().regex(NAME),
  state: processState,
  pid: count.nullable(),
  startedAt: time.nullable(),
  readyAt: time.nullable(),
  nextStartAt: time.nullable(),
  restarts: count,
  lastExit: exit,
  status: z.string(),
  memory,
  cpuSeconds: time.nullable(),
  openFiles: count.nullable(),
  diskBytes: count.nullable(),
  outdated: z.boolean(),
  reason: z.string(),
  warning: z.string(),
}) satisfies z.ZodType<ServiceObservation>;

export const listenerObservation = z.object({
  listener: z.enum(['self', 'other', 'none']),
  pid: count.nullable(),
  startedAt: time.nullable(),
}) satisfies z.ZodType<ListenerObservation>;

export const agentObservation = z.object({
  incarnation: z.string().min(1),
  cursor: count,
  protocol: z.literal(PROTOCOL, {
    error: `its plugin speaks another protocol than ours (${PROTOCOL}): rebuild the container with this version`,
  }),
  directory: z.string().regex(/^\/[^\0]*$/),
  python: z.string(),
  isolatesUsers: z.boolean(),
  overhead: memory,
  zygotes: z.array(zygote),
  services: z.array(service),
  cgroups: z.object({ made: z.boolean(), reason: z.string() }),
  bots: z.array(botObservation),
  directories: z.array(z.string()),
  // A plugin of an older image does not tell.
  dormant: z.array(z.object({ bot: z.string(), slot: count, generation: count })).default([]),
  serviceDirectories: z.array(z.string()),
}) satisfies z.ZodType<AgentObservation>;

export const waitResult = z.object({
  incarnation: z.string().min(1),
  cursor: count,
  changed: z.array(z.string()),
}) satisfies z.ZodType<WaitResult>;

export const logChunk = z.object({
  file: z.string(),
  offset: count,
  next: count,
  size: count,
  data: z.string(),
}) satisfies z.ZodType<LogChunk>;

export const archiveInfo = z.object({
  archive: z.string().min(1),
  bytes: count,
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
}) satisfies z.ZodType<ArchiveInfo>;

const troubles = z.array(z.object({ path: z.string(), why: z.string() }));

export const backupInfo = archiveInfo.extend({
  files: count,
  unpackedBytes: count,
  databases: count,
  damaged: troubles,
  damagedCount: count,
  skipped: troubles,
  skippedCount: count,
}) satisfies z.ZodType<BackupInfo>;

export const restored = z.object({ restored: z.boolean() });

export const restoredInfo = z.object({
  files: count,
  databases: count,
  damaged: troubles,
}) satisfies z.ZodType<RestoredInfo>;

export const archiveChunk = z.object({ data: z.base64(), eof: z.boolean() });

/** `remove` and `discard` have nothing to say. */
export const nothing = z.object({});
