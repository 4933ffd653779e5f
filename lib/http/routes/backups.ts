import * as z from 'zod';
import { BACKUP_KINDS } from '../../domain/backup.ts';
import type { BackupApi } from '../../services/backup-api.ts';
import { type Route, route } from '../route.ts';
import { botParams, botView, instanceId, isoDate, ownerId, queryInt } from '../schemas.ts';

const backupId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,120}$/, 'must be the id of a backup as the list shows it')
  .meta({ description: 'Id of a backup', example: 'btc-scalper-2026-05-01T03-15-00-000Z-0a1b2c' });
const backupParams = z.strictObject({ id: backupId });
const kind = z.enum(BACKUP_KINDS).meta({
  id: 'BackupKind',
  description:
    'Why it was made. before-restore: of what a restore replaced; deleted: the archive of a deleted bot; migration: of an old deployment, or carried back to it',
});

const troubles = z.array(z.object({ path: z.string(), why: z.string() }));

const backup = z
  .object({
    id: z.string(),
    bot: z.string(),
    owner: z.string().nullable().meta({ description: 'Null: nobody wrote it down' }),
    template: z.string().nullable(),
    kind,
    createdAt: isoDate,
    bytes: z.int().meta({ description: 'Of the packed archive' }),
    sha256: z.string().nullable(),
    files: z.int().nullable(),
    unpackedBytes: z.int().nullable(),
    databases: z.int().nullable().meta({ description: 'SQLite databases, each as of one moment' }),
    damaged: troubles.meta({ description: 'Databases that were not whole; of many only some' }),
    skipped: troubles.meta({ description: 'What is not in it; of many only some' }),
    good: z.boolean().meta({ description: 'Whether all its databases were whole' }),
    shelf: z.enum(['backups', 'archives']).meta({ description: 'archives: those of deleted bots' }),
  })
  .meta({ id: 'Backup', description: 'Never files, environment or secrets' });

const page = z
  .object({
    backups: z.array(backup),
    next: z.string().nullable().meta({ description: 'Pass as `after` for the next page; null on the last' }),
  })
  .meta({ id: 'Backups' });

const filter = z.strictObject({
  bot: instanceId.exactOptional(),
  owner: ownerId.exactOptional(),
  kind: kind.exactOptional(),
  after: backupId.exactOptional(),
  limit: queryInt(1, 1000).exactOptional(),
});

const restoreRequest = z
  .strictObject({
    as: instanceId.exactOptional().meta({
      description: 'As a new bot of this id; left out: in place, or made again under its old id when it was deleted',
    }),
    owner: ownerId.exactOptional().meta({ description: 'Of the new bot; only an admin says so' }),
    start: z
      .boolean()
      .exactOptional()
      .meta({ description: 'Whether a bot that is made is started; it is not when left out' }),
    force: z.boolean().exactOptional().meta({
      description: 'Take damaged databases as well, and leave out links that lead out of it and what is no file',
    }),
  })
  .meta({ id: 'Restore' });

const restoreAnswer = z
  .object({
    backup: z.string(),
    how: z.enum(['in-place', 'new']),
    bot: botView,
    notes: z.array(z.string()).meta({ description: 'What to know and do next' }),
  })
  .meta({ id: 'Restoring' });

const overview = z
  .object({
    place: z.string().meta({ description: 'Where backups are kept, without credentials' }),
    schedule: z.string().nullable().meta({ description: 'Null: only what is asked for' }),
    keep: z.string(),
    trouble: z.string().meta({ description: 'Why the backups there are cannot be looked at; empty when they can' }),
    bots: z.array(
      z.object({
        instanceId: z.string(),
        owner: z.string(),
        schedule: z
          .string()
          .nullable()
          .meta({ description: 'Of its template, or of the setting; null: only when asked for' }),
        running: z.boolean(),
        last: z
          .object({ id: z.string(), createdAt: isoDate, ageSeconds: z.int() })
          .nullable()
          .meta({ description: 'The last whose databases were whole' }),
        restore: z
          .object({ backup: z.string(), state: z.enum(['under-way', 'done', 'failed']), why: z.string() })
          .nullable()
          .meta({
            description:
              'Under way, or the last one since this supervisor started. Failed: `why` says what the bot goes on with',
          }),
        failure: z
          .object({ count: z.int(), why: z.string(), at: isoDate, nextTryAt: isoDate })
          .nullable()
          .meta({ description: 'Since the last good one' }),
      }),
    ),
  })
  .meta({ id: 'BackupOverview' });

const runRequest = z
  .strictObject({ bots: z.array(instanceId).max(10_000).exactOptional().meta({ description: 'All when left out' }) })
  .meta({ id: 'RunBackups' });
const runAnswer = z.object({ started: z.array(z.string()) }).meta({ id: 'StartedBackups' });

/** `/api/backups`: what is kept of bots, and how they come back from it. */
export function backupRoutes(api: BackupApi): Route[] {
  return [
    route({
      method: 'GET',
      path: '/api/backups',
      access: 'any',
      summary: 'Backups and archives of deleted bots, an owner sees their own',
      query: filter,
      reply: { status: 200, json: page },
      errors: ['STORE_UNAVAILABLE'],
      handle: async ({ actor, query }) => ({ json: await api.list(actor, query) }),
    }),
    route({
      method: 'GET',
      path: '/api/backups/overview',
      access: 'any',
      summary: 'Last good backup and failures of each bot',
      query: z.strictObject({ bot: instanceId.exactOptional() }),
      reply: { status: 200, json: overview },
      errors: ['NOT_FOUND'],
      handle: ({ actor, query }) => ({ json: api.overview(actor, query.bot) }),
    }),
    route({
      method: 'POST',
      path: '/api/backups/run',
      access: 'admin',
      summary: 'Begin backups of bots, a few at a time; the overview shows how it goes',
      body: runRequest,
      reply: { status: 202, json: runAnswer },
      errors: ['NOT_FOUND'],
      handle: ({ actor, body }) => ({ json: api.run(actor, body.bots) }),
    }),
    route({
      method: 'GET',
      path: '/api/backups/{id}',
      access: 'any',
      summary: 'One backup',
      params: backupParams,
      reply: { status: 200, json: backup },
      errors: ['STORE_UNAVAILABLE'],
      handle: async ({ actor, params }) => ({ json: await api.get(actor, params.id) }),
    }),
    route({
      method: 'DELETE',
      path: '/api/backups/{id}',
      access: 'admin',
      summary: 'Throw a backup or archive away',
      params: backupParams,
      reply: { status: 200, json: backup },
      errors: ['CONFLICT', 'STORE_UNAVAILABLE'],
      handle: async ({ actor, params }) => ({ json: await api.remove(actor, params.id) }),
    }),
    route({
      method: 'POST',
      path: '/api/backups/{id}/restore',
      access: 'any',
      summary: 'Bring a bot back from a backup: in place, or as a new bot that stays stopped',
      params: backupParams,
      body: restoreRequest,
      reply: { status: 202, json: restoreAnswer },
      errors: ['CONFLICT', 'FORBIDDEN', 'STORE_UNAVAILABLE', 'UNSUPPORTED'],
      handle: async ({ actor, params, body }) => ({ json: await api.restore(actor, params.id, body) }),
    }),
    route({
      method: 'POST',
      path: '/api/bots/{id}/backup',
      access: 'any',
      summary: 'Back a bot up now, running or not; answers when it is kept',
      params: botParams,
      reply: { status: 201, json: backup },
      errors: ['CONFLICT', 'BOT_UNAVAILABLE', 'AGENT_UNAVAILABLE', 'STORE_UNAVAILABLE', 'UNSUPPORTED'],
      handle: async ({ actor, params }) => {
        const made = await api.backup(actor, params.id);
        return { json: made, headers: { Location: `/api/backups/${made.id}` } };
      },
    }),
  ];
}
