import { z } from 'zod';
import { CONTAINER_NAME, INSTANCE_ID, NAME, OWNER_ID } from '../domain/ids.ts';
import { RESERVE_PHASES } from '../domain/lease.ts';
import { MIGRATION_PHASES } from '../domain/migration.ts';
import { MOVE_PHASES } from '../domain/move.ts';
import { SCHEMA_VERSION } from '../domain/state.ts';
import { Table } from '../domain/table.ts';
import { UPGRADE_STATUSES } from '../domain/upgrade.ts';

const count = z.int().min(0);
const port = z.int().min(1).max(65535);
const base64Files = z.record(z.string(), z.string());

const limits = z.strictObject({
  memoryBytes: count.nullable().exactOptional(),
  pssBytes: count.nullable().exactOptional(),
  diskBytes: count.nullable().exactOptional(),
  cpuWeight: z.int().min(1).max(10_000).exactOptional(),
  openFiles: count.nullable().exactOptional(),
  processes: count.nullable().exactOptional(),
  nice: z.int().min(0).max(19).exactOptional(),
});

const placement = z.strictObject({ container: z.string().regex(CONTAINER_NAME), slot: count, port });

const legacy = z.strictObject({ cause: z.enum(['asked', 'fallback']), why: z.string(), since: z.iso.datetime() });

const move = z.strictObject({
  to: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('pool') }),
    z.strictObject({ kind: z.literal('container'), container: z.string().regex(CONTAINER_NAME) }),
    z.strictObject({ kind: z.literal('alone') }),
    z.strictObject({ kind: z.literal('location'), location: z.string().regex(NAME) }),
  ]),
  cause: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('request') }),
    z.strictObject({ kind: z.literal('drain'), container: z.string().regex(CONTAINER_NAME) }),
    z.strictObject({ kind: z.literal('upgrade'), template: z.string().regex(NAME) }),
    z.strictObject({ kind: z.literal('consolidate'), container: z.string().regex(CONTAINER_NAME) }),
  ]),
  phase: z.enum(MOVE_PHASES),
  other: z.strictObject({ placement, location: z.string().regex(NAME), legacy: legacy.nullable() }).nullable(),
  archive: z.string().nullable(),
  facts: z.record(z.string(), z.string()).nullable(),
  undone: z.string().nullable(),
  left: z.iso.datetime().nullable(),
  since: z.iso.datetime(),
});

const bot = z.strictObject({
  instanceId: z.string().regex(INSTANCE_ID),
  template: z.string().regex(NAME),
  owner: z.string().regex(OWNER_ID),
  group: z.string().regex(NAME),
  location: z.string().regex(NAME),
  desired: z.enum(['running', 'paused', 'stopped']),
  deleting: z.boolean(),
  archive: z.string().nullable(),
  files: base64Files,
  env: z.record(z.string(), z.string()),
  args: z.array(z.string()).readonly(),
  limits,
  secrets: z.record(z.string(), z.string()),
  placement: placement.nullable(),
  generation: count,
  restartGeneration: count,
  desiredGeneration: count,
  controlledGeneration: count,
  reserve: z
    .strictObject({
      phase: z.enum(RESERVE_PHASES),
      lease: z.string().nullable(),
      since: z.iso.datetime(),
      served: count,
    })
    .nullable(),
  restore: z
    .strictObject({
      backup: z.string(),
      replaces: z.boolean(),
      kept: z.string().nullable(),
      tolerate: z.boolean(),
      since: z.iso.datetime(),
      failed: z.string().nullable(),
    })
    .nullable(),
  move: move.nullable(),
  legacy: legacy.nullable(),
  createdAt: z.iso.datetime(),
});

const lease = z.strictObject({
  id: z.string(),
  bot: z.string().regex(INSTANCE_ID),
  template: z.string().regex(NAME),
  location: z.string().regex(NAME),
  owner: z.string().regex(OWNER_ID),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
  ttlSeconds: z.number().positive(),
  fromPool: z.boolean(),
  fence: count,
  end: z.strictObject({ at: z.iso.datetime(), how: z.enum(['released', 'expired', 'lost']) }).nullable(),
});

const window = z.strictObject({ since: z.iso.datetime(), count });

const tableOf = <T extends z.ZodType>(record: T) =>
  z.record(z.string(), record).transform((records) => Table.of(records));

const container = z.strictObject({
  name: z.string().regex(CONTAINER_NAME),
  pool: z.string(),
  capacity: z.int().min(1),
  basePort: port,
  generation: count,
  image: z.string().nullable(),
  removing: z.boolean(),
  soleBot: z.string().regex(INSTANCE_ID).nullable(),
  emptying: z
    .discriminatedUnion('why', [
      z.strictObject({ why: z.enum(['upgrade', 'consolidate']), since: z.iso.datetime() }),
      z.strictObject({
        why: z.literal('drain'),
        since: z.iso.datetime(),
        surge: z.int().min(1),
        force: z.boolean(),
      }),
    ])
    .nullable(),
  entered: z.boolean(),
  createdAt: z.iso.datetime(),
});

const upgrade = z.strictObject({
  template: z.string().regex(NAME),
  image: z.string().nullable(),
  previousImage: z.string().nullable(),
  generation: count,
  status: z.enum(UPGRADE_STATUSES),
  surge: z.int().min(1),
  spacingSeconds: z.number().min(0),
  failureBudget: count,
  holdSeconds: z.number().min(0).nullable(),
  moved: count,
  failures: z
    .array(z.strictObject({ bot: z.string().regex(INSTANCE_ID), why: z.string(), at: z.iso.datetime() }))
    .readonly(),
  begunAt: z.iso.datetime().nullable(),
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime().nullable(),
});

const dataFacts = z.strictObject({
  path: z.string(),
  bytes: count,
  tables: z.record(z.string(), z.strictObject({ rows: count, last: z.int().nullable(), sha256: z.string() })),
  answers: z.record(z.string(), z.string().nullable()),
});

const migration = z.strictObject({
  instanceId: z.string().regex(INSTANCE_ID),
  template: z.string().regex(NAME),
  owner: z.string().regex(OWNER_ID),
  source: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('container'), name: z.string(), id: z.string() }),
    z.strictObject({ kind: z.literal('folder'), path: z.string() }),
  ]),
  phase: z.enum(MIGRATION_PHASES),
  since: z.iso.datetime(),
  beganAt: z.iso.datetime(),
  endedAt: z.iso.datetime().nullable(),
  parallel: z.int().min(1),
  keepDays: count.nullable(),
  database: z.string().nullable(),
  old: z
    .strictObject({
      ran: z.boolean(),
      restartPolicy: z
        .strictObject({
          name: z.enum(['no', 'always', 'unless-stopped', 'on-failure']),
          maximumRetryCount: count,
        })
        .nullable(),
    })
    .nullable(),
  backup: z.string().nullable(),
  before: dataFacts.nullable(),
  after: dataFacts.nullable(),
  ran: z.boolean(),
  carried: z.string().nullable(),
  downSince: z.iso.datetime().nullable(),
  upSince: z.iso.datetime().nullable(),
  why: z.string(),
  notes: z.array(z.string()).readonly(),
});

const actor = z.discriminatedUnion('role', [
  z.strictObject({ role: z.literal('admin') }),
  z.strictObject({ role: z.literal('owner'), owner: z.string().regex(OWNER_ID) }),
]);

const token = z.strictObject({ id: z.string(), hash: z.string(), actor, createdAt: z.iso.datetime() });
const reply = z.strictObject({ request: z.string(), status: z.int(), body: z.string(), at: z.iso.datetime() });

/** Where a state file stands in the chain of commits. */
export const positionSchema = z.strictObject({ sequence: count, hash: z.string().min(1) });

/** What a state of the present schema must hold. Strict: a key nobody knows is a sign of damage, not of a newer version. */
export const stateSchema = z
  .strictObject({
    schema: z.literal(SCHEMA_VERSION),
    installation: z.string().min(1),
    generation: count,
    bots: tableOf(bot),
    containers: z.record(z.string(), container),
    tokens: z.record(z.string(), token),
    replies: tableOf(reply),
    leases: tableOf(lease),
    quotas: tableOf(z.strictObject({ hour: window, day: window })),
    consolidatedAt: count,
    upgrades: z.record(z.string(), upgrade),
    migrations: tableOf(migration),
  })
  .superRefine(({ bots, containers }, context) => {
    for (const [key, { instanceId }] of bots.entries) {
      if (key !== instanceId)
        context.addIssue({ code: 'custom', path: ['bots', key], message: 'filed under a wrong id' });
    }
    for (const [key, { name }] of Object.entries(containers)) {
      if (key !== name)
        context.addIssue({ code: 'custom', path: ['containers', key], message: 'filed under a wrong name' });
    }
  });

/** Checked against `State` in both directions by test/store/schema.test.ts, when it is compiled. */
export type StoredState = z.infer<typeof stateSchema>;
