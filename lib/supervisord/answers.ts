import { z } from 'zod';
import type { AgentObservation, ArchiveInfo, BotObservation, LogChunk, WaitResult } from '../domain/agent.ts';
import { INSTANCE_ID } from '../domain/ids.ts';

/** Version of the plugin's wire protocol this orchestrator speaks. */
export const PROTOCOL = 1;

const count = z.number().int().nonnegative();
const time = z.number().nonnegative();
const memory = z.object({ pssBytes: count, rssBytes: count }).nullable();

/** Answers are data from inside a container, where tenants run: checked before anything believes them. */
export const botObservation = z.object({
  bot: z.string().regex(INSTANCE_ID),
  slot: count,
  port: count.max(65_535),
  generation: count,
  run: z.boolean(),
  state: z.enum(['starting', 'running', 'backoff', 'stopping', 'stopped']),
  pid: count.nullable(),
  startedAt: time.nullable(),
  readyAt: time.nullable(),
  startedGeneration: count.nullable(),
  nextStartAt: time.nullable(),
  restarts: count,
  lastExit: z
    .object({ code: z.number().int().nullable(), signal: z.string().nullable(), at: time, expected: z.boolean() })
    .nullable(),
  status: z.string(),
  listener: z.enum(['self', 'other', 'none']).nullable(),
  memory,
  cpuSeconds: time.nullable(),
  openFiles: count.nullable(),
  reason: z.string(),
}) satisfies z.ZodType<BotObservation>;

export const agentObservation = z.object({
  incarnation: z.string().min(1),
  cursor: count,
  protocol: z.literal(PROTOCOL, {
    error: `its plugin speaks another protocol than ours (${PROTOCOL}): rebuild the container with this version`,
  }),
  python: z.string(),
  isolatesUsers: z.boolean(),
  overhead: memory,
  bots: z.array(botObservation),
  directories: z.array(z.string()),
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

export const archiveChunk = z.object({ data: z.base64(), eof: z.boolean() });

/** `remove` and `discard` have nothing to say. */
export const nothing = z.object({});
