import * as z from 'zod';
import { MIGRATION_PHASES } from '../../domain/migration.ts';
import { MIGRATION_PROBLEMS, type MigrationApi } from '../../services/migration-api.ts';
import { type Route, route } from '../route.ts';
import { botParams, instanceId, isoDate, timeOrNull } from '../schemas.ts';

const restartPolicy = z
  .object({
    name: z.enum(['no', 'always', 'unless-stopped', 'on-failure']),
    maximumRetryCount: z.int(),
  })
  .nullable()
  .meta({ description: 'Null where there is no container' });

const deployment = {
  kind: z.enum(['container', 'folder']),
  name: z.string().meta({ description: 'Of the container; of a folder its path' }),
  path: z.string().nullable().meta({ description: 'Folder its files are in, as far as that is known' }),
  image: z.string(),
  command: z.array(z.string()),
  state: z
    .enum(['running', 'stopped', 'unknown'])
    .meta({ description: 'unknown: it could not be told, which never means stopped' }),
  restartPolicy,
  ports: z.array(
    z.object({
      host: z.string().meta({ description: 'Address of the machine; empty for all' }),
      hostPort: z.int(),
      containerPort: z.int(),
    }),
  ),
  mounts: z.array(
    z.object({
      kind: z.enum(['bind', 'volume', 'other']),
      source: z.string(),
      target: z.string(),
      readOnly: z.boolean(),
    }),
  ),
  startedAt: timeOrNull,
};

const facts = z
  .object({
    path: z.string().meta({ description: "Path of the database in the bot's directory" }),
    bytes: z.int(),
    tables: z.record(
      z.string(),
      z.object({
        rows: z.int(),
        last: z.int().nullable().meta({ description: 'Highest row id; null: none, or a table without' }),
        sha256: z.string().meta({ description: 'Of all rows in order' }),
      }),
    ),
    answers: z
      .record(z.string(), z.string().nullable())
      .meta({ description: 'What the template asks of it, such as the number of open trades' }),
  })
  .meta({ id: 'DataFacts', description: 'What is in a database' });

const candidate = z
  .object({
    id: z.string().meta({ description: "The bot's id to be" }),
    template: z.string(),
    owner: z.string().nullable(),
    source: z.object(deployment),
    config: z.object({ path: z.string(), bytes: z.int(), valid: z.boolean() }),
    database: z
      .object({
        path: z.string(),
        bytes: z.int(),
        walBytes: z.int(),
        damage: z.string().meta({ description: 'Empty when SQLite finds it whole' }),
        facts: facts.nullable(),
      })
      .nullable(),
    args: z.array(z.string()).meta({ description: 'Arguments that its bot gets beside those of the template' }),
    destination: z.object({
      pool: z.string().meta({ description: 'template/group/location' }),
      container: z.string().nullable().meta({ description: 'Null: a new one, or there is no place' }),
      note: z.string(),
    }),
    steps: z.array(z.string()).meta({ description: 'What would be done, one after the other' }),
    problems: z.array(
      z.object({
        code: z.enum(MIGRATION_PROBLEMS),
        message: z.string(),
        advice: z.string().meta({ description: 'What to do about it' }),
        blocking: z.boolean().meta({ description: 'It is not begun as long as this is so' }),
      }),
    ),
    ready: z.boolean().meta({ description: 'Whether nothing stands in the way' }),
    estimate: z.object({
      secondsDown: z.number().nullable().meta({ description: 'Null: nothing was measured yet to tell it from' }),
      basis: z.string(),
    }),
  })
  .meta({ id: 'MigrationCandidate', description: 'A deployment of old, and what would be done with it' });

const foreign = z
  .object({
    ...deployment,
    id: z.string().nullable().meta({ description: 'The candidate or migration that it is; null: it is none' }),
    why: z.string().meta({ description: 'Why it is none; empty otherwise' }),
  })
  .meta({ id: 'ForeignContainer', description: 'Not made by Bunkhouse, and not touched by it unless it is migrated' });

const migration = z
  .object({
    id: z.string().meta({ description: 'Of the bot' }),
    template: z.string(),
    owner: z.string(),
    source: z.object({ kind: z.enum(['container', 'folder']), name: z.string() }),
    phase: z.enum(MIGRATION_PHASES).meta({ id: 'MigrationPhase' }),
    since: isoDate.meta({ description: 'Of the phase' }),
    beganAt: isoDate,
    endedAt: timeOrNull,
    over: z.boolean(),
    ranBefore: z.boolean().nullable().meta({ description: 'Null: not looked yet' }),
    restartPolicy,
    secondsDown: z
      .number()
      .nullable()
      .meta({ description: 'How long neither was well, up to now or altogether; null: it was not stopped' }),
    why: z.string().meta({ description: 'Why it goes back, or went; empty otherwise' }),
    held: z.string().meta({ description: 'What holds the present phase up, and is tried again; empty otherwise' }),
    notes: z.array(z.string()),
    proof: z.object({ before: facts.nullable(), after: facts.nullable() }),
    backup: z.string().nullable().meta({ description: 'Backup with the data it came with' }),
    carried: z.string().nullable().meta({ description: 'Backup with what was carried back' }),
    removesAt: timeOrNull.meta({ description: 'When the old one is removed by itself' }),
  })
  .meta({ id: 'Migration' });

const overview = z
  .object({
    candidates: z.array(candidate),
    migrations: z.array(migration),
    foreign: z.array(foreign),
    trouble: z.array(z.string()).meta({ description: 'What could not be looked at, and why' }),
  })
  .meta({ id: 'Migrations' });

const from = z
  .string()
  .regex(/^\/[^\0]*$/, 'must be an absolute path')
  .max(4096)
  .exactOptional()
  .meta({ description: 'Folder of deployments as OWNER/ID/ on this machine, looked through as well' });

const request = z
  .strictObject({
    only: z.array(instanceId).min(1).max(1000).exactOptional().meta({ description: 'All that can when left out' }),
    parallel: z
      .int()
      .min(1)
      .max(16)
      .exactOptional()
      .meta({ description: 'On their way at the same time; 2 if left out' }),
    from,
    keepDays: z
      .int()
      .min(0)
      .max(3650)
      .exactOptional()
      .meta({ description: 'Remove the old ones so many days after; when somebody asks if left out' }),
  })
  .meta({ id: 'Migrate' });

const answer = z
  .object({
    migrations: z.array(migration),
    refused: z.array(candidate).meta({ description: 'Something stands in their way: nothing was done to them' }),
  })
  .meta({ id: 'Migrating' });

/** `/api/migrations`: old deployments, one container each, on their way into the pool and back. */
export function migrationRoutes(api: MigrationApi): Route[] {
  return [
    route({
      method: 'GET',
      path: '/api/migrations',
      access: 'admin',
      summary:
        'Deployments that could be brought into the pool, looked for now, and those on their way. Changes nothing',
      query: z.strictObject({ from }),
      reply: { status: 200, json: overview },
      handle: async ({ query }) => ({ json: await api.overview(query) }),
    }),
    route({
      method: 'POST',
      path: '/api/migrations',
      access: 'admin',
      summary: 'Begin to bring them into the pool, each with proof and a way back',
      body: request,
      reply: { status: 202, json: answer },
      errors: ['NOT_FOUND', 'CONFLICT', 'DRIVER_UNAVAILABLE'],
      handle: async ({ body }) => ({ json: await api.begin(body) }),
    }),
    route({
      method: 'GET',
      path: '/api/migrations/{id}',
      access: 'admin',
      summary: 'How far one has come',
      params: botParams,
      reply: { status: 200, json: migration },
      handle: ({ params }) => ({ json: api.get(params.id) }),
    }),
    route({
      method: 'POST',
      path: '/api/migrations/{id}/rollback',
      access: 'admin',
      summary: 'Back to the old deployment, with what the bot did since',
      params: botParams,
      reply: { status: 202, json: migration },
      errors: ['CONFLICT'],
      handle: async ({ params }) => ({ json: await api.rollback(params.id) }),
    }),
    route({
      method: 'POST',
      path: '/api/migrations/{id}/finish',
      access: 'admin',
      summary: 'Remove the old container for good; its files stay',
      params: botParams,
      reply: { status: 202, json: migration },
      errors: ['CONFLICT'],
      handle: async ({ params }) => ({ json: await api.finish(params.id) }),
    }),
  ];
}
