import * as z from 'zod';
import { BOT_STATES } from '../domain/bot.ts';
import { CONTAINER_NAME, FILE_PATH, INSTANCE_ID, NAME, OWNER_ID } from '../domain/ids.ts';
import { POOL_OWNER } from '../domain/lease.ts';
import { MODES } from '../domain/mode.ts';
import { MOVE_PHASES } from '../domain/move.ts';
import { isVisitor, VISITOR_PREFIX } from '../domain/visitor.ts';

/** Shapes that several routes share: what comes in is strict, so that a misspelt field is an error and not ignored. */

export const instanceId = z
  .string()
  .regex(INSTANCE_ID, 'must be 1 to 63 letters, digits, dots, dashes or underscores, beginning with a letter or digit')
  .meta({ description: 'Bot id', example: 'btc-scalper' });
/** To ask for what somebody has: also for what is the pool's, or was given to somebody without a token. */
export const anyOwner = z
  .string()
  .regex(OWNER_ID, 'must be 1 to 63 letters, digits or . _ @ : -, beginning with a letter or digit');
export const ownerId = anyOwner
  .refine((id) => id !== POOL_OWNER, `must not be ${POOL_OWNER}, which owns what is on no lease`)
  .refine((id) => !isVisitor(id), `must not begin with ${VISITOR_PREFIX}, as callers without a token do`);
export const leaseId = z.string().regex(/^[a-z0-9]{8,64}$/, 'must be the id of a lease');
export const name = z
  .string()
  .regex(NAME, 'must be 1 to 31 lower-case letters, digits or dashes, beginning with a letter or digit');
export const containerName = z.string().regex(CONTAINER_NAME, 'must be a container name as the pool status shows it');

export const botParams = z.strictObject({ id: instanceId });

export const desired = z.enum(['running', 'paused', 'stopped']).meta({ description: 'What the owner wants' });
export const mode = z
  .enum(MODES)
  .meta({ description: 'pooled: a slot in a shared container; legacy: a container of its own' });
export const botState = z.enum(BOT_STATES).meta({ id: 'BotState', description: 'What is observed' });

const withoutNul = (most: number) =>
  z
    .string()
    .max(most)
    .refine((text) => !text.includes('\0'), 'must not hold a NUL character');

const filePath = z.string().regex(FILE_PATH, 'must be a relative path without empty, "." or ".." parts');
const base64File = z.strictObject({ base64: z.base64() });

/** Text as it is, anything else in base64; base64 for the service either way. */
const fileContent = z
  .union([z.string(), base64File])
  .transform((file) => (typeof file === 'string' ? Buffer.from(file).toString('base64') : file.base64))
  .meta({ description: 'Text, or {"base64": …} for anything else' });

export const files = z.record(filePath, fileContent).meta({ description: 'Files of the bot by relative path' });
export const changedFiles = z
  .record(filePath, fileContent.nullable())
  .meta({ description: 'Files to write by relative path; null drops one' });

const variable = z
  .string()
  .regex(/^(?!__proto__$)[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'must be the name of an environment variable');
export const env = z.record(variable, withoutNul(32_768)).meta({ description: 'Environment variables' });
export const args = z.array(withoutNul(4096)).max(100).meta({ description: 'Arguments after those of the template' });

const MIB = 1024 * 1024;
export const limits = z
  .strictObject({
    memoryBytes: z
      .int()
      .min(16 * MIB)
      .nullable()
      .exactOptional(),
    pssBytes: z
      .int()
      .min(16 * MIB)
      .nullable()
      .exactOptional(),
    diskBytes: z.int().min(MIB).nullable().exactOptional(),
    cpuWeight: z.int().min(1).max(10_000).exactOptional(),
    openFiles: z.int().min(16).max(1_048_576).nullable().exactOptional(),
    processes: z.int().min(1).max(100_000).nullable().exactOptional(),
    nice: z.int().min(0).max(19).exactOptional(),
  })
  .meta({ description: 'Where they differ from those of the template; null: no limit' });

export const memory = z
  .object({
    pssBytes: z.int().meta({ description: 'Shared pages counted in proportion: these add up' }),
    rssBytes: z.int().meta({ description: 'Shared pages counted whole' }),
    privateBytes: z.int().meta({ description: 'Pages that nobody else has' }),
    sharedBytes: z.int(),
    swapBytes: z.int(),
  })
  .meta({ id: 'Memory' })
  .nullable()
  .meta({ description: 'Null when not known' });

/** What a bot takes. */
export const resources = {
  memory,
  cpuSeconds: z.number().nullable().meta({ description: 'Of the living process' }),
  openFiles: z.int().nullable(),
  diskBytes: z.int().nullable().meta({ description: 'Of its directory, where that is limited' }),
  spawn: z
    .object({
      kind: z.enum(['prefork', 'exec']),
      reason: z.string().meta({ description: 'Why it was executed although its template wants it forked' }),
    })
    .nullable()
    .meta({ description: 'How the living process was started' }),
  warning: z.string().meta({ description: 'What will soon be a reason; empty when all is well' }),
};

const time = z.string().meta({ format: 'date-time' });
export const timeOrNull = time.nullable();
export const isoDate = time;

export const botAddress = z
  .string()
  .meta({ description: 'Where the bot is reached: by host name, otherwise its path behind this server' });

const move = z
  .object({
    phase: z.enum(MOVE_PHASES),
    since: time.meta({ description: 'When the phase was entered' }),
    to: z.string(),
    other: z.string().nullable().meta({
      description: 'Container of its other place: where it is to go, and once it has arrived there, where it came from',
    }),
    undone: z.string().nullable().meta({ description: 'Why it goes back to where it was' }),
    cause: z.enum(['request', 'drain', 'upgrade', 'consolidate']),
  })
  .meta({ id: 'Move' });
export const legacy = z
  .object({
    cause: z.enum(['asked', 'fallback']).meta({ description: 'fallback: the pool could not take it' }),
    why: z.string(),
    since: time,
  })
  .nullable()
  .meta({ description: 'Why it has a container of its own; null when it has not' });

export const botView = z
  .object({
    instanceId: z.string(),
    owner: z.string(),
    template: z.string(),
    pool: z.string().meta({ description: 'template/group/location' }),
    mode,
    legacy,
    container: z.string().nullable(),
    slot: z.int().nullable(),
    port: z.int().nullable(),
    pid: z.int().nullable(),
    url: botAddress,
    state: botState,
    desired,
    since: timeOrNull.meta({ description: 'When the state was entered' }),
    restarts: z.int(),
    ...resources,
    status: z.string().meta({ description: 'What the bot last said of itself' }),
    reason: z.string().meta({ description: 'Why it is not simply running; empty when it is' }),
    deleting: z.boolean(),
    createdAt: time,
    files: z.array(z.string()).meta({ description: 'Names only' }),
    move: move.nullable().meta({ description: 'Set while it is on its way to another container' }),
  })
  .meta({ id: 'Bot' });

export const reserve = z
  .object({
    template: z.string(),
    location: z.string(),
    target: z.int(),
    minSize: z.int(),
    maxSize: z.int().meta({ description: 'Those on lease included' }),
    ready: z.int(),
    warming: z.int(),
    assigned: z.int(),
    resetting: z.int().meta({ description: 'Being stopped or cleaned after a lease' }),
    isRefilling: z.boolean(),
    held: z.string().meta({ description: 'Why warm bots that are missing are not made now; empty otherwise' }),
    acquired: z.int().meta({ description: 'Leases since this supervisor started' }),
    fromPool: z.int().meta({ description: 'Of those, how many a warm bot waited for' }),
    hitRate: z.number().nullable().meta({ description: 'The one by the other; null before the first lease' }),
  })
  .meta({ id: 'Reserve' });

export const success = z.literal(true);
/** What the pool routes say first. */
export const done = { success: true } as const;

/** `?flag=true`; left out is false. */
export const flag = z
  .enum(['true', 'false'])
  .default('false')
  .transform((text) => text === 'true');

/** A whole number in a query: comes as text, documented as what it stands for. */
export const queryInt = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.int().min(least).max(most))
    .meta({
      override: ({ jsonSchema }) => {
        delete jsonSchema.pattern;
        Object.assign(jsonSchema, { type: 'integer', minimum: least, maximum: most });
      },
    });
