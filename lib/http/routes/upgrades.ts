import * as z from 'zod';
import { UPGRADE_ACTIONS, UPGRADE_STATUSES } from '../../domain/upgrade.ts';
import type { UpgradeApi } from '../../services/upgrade-api.ts';
import { type Route, route } from '../route.ts';
import { containerName, done, isoDate, name, success, timeOrNull } from '../schemas.ts';

const image = z.string().regex(/^[a-z0-9][A-Za-z0-9._/:@-]{0,254}$/, 'must be the name of an image');
const surge = z.int().min(1).max(100);

const upgradeRequest = z
  .strictObject({
    template: name.exactOptional().meta({ description: 'DEFAULT_TEMPLATE when left out' }),
    image: image.exactOptional().meta({ description: "Of the new containers; the template's own when left out" }),
    surge: surge.exactOptional().meta({ description: 'Bots on their way at once, at the most; 2 when left out' }),
    spacingSeconds: z.number().min(0).max(86_400).exactOptional().meta({
      description: 'Seconds between the beginnings of two moves; 5 when left out',
    }),
    failureBudget: z.int().min(0).max(10_000).exactOptional().meta({
      description: 'Moves that may fail before it stops; 2 when left out',
    }),
    holdSeconds: z.number().min(0).exactOptional().meta({
      description: 'After so long also bots are moved that their template holds back; never when left out',
    }),
    dryRun: z.boolean().default(false).meta({ description: 'Only say what it would mean for each bot' }),
  })
  .meta({ id: 'UpgradeRequest' });

const forecast = z
  .object({
    template: z.string(),
    image: z.string().nullable(),
    bots: z.array(
      z.object({
        instanceId: z.string(),
        container: z.string().nullable(),
        needs: z.enum(['stays', 'restart', 'move', 'replace', 'unknown']).meta({
          description:
            'What brings the bot to its template as it is now; an upgrade moves all of them. replace: it waits in the reserve, and another is made',
        }),
        why: z.string(),
      }),
    ),
  })
  .meta({ id: 'UpgradeForecast' });

const onTheirWay = z.array(
  z.object({
    bot: z.string(),
    phase: z.string(),
    undone: z.string().nullable().meta({ description: 'Why it goes back; null: it does not' }),
    trouble: z.string().nullable().meta({ description: 'What keeps it from getting on; null: nothing' }),
  }),
);
const heldBack = z.array(z.object({ bot: z.string(), why: z.string() }));
const left = z.int().meta({ description: 'Bots that are yet to leave, those on their way not counted' });

const upgrade = z
  .object({
    template: z.string(),
    image: z.string().nullable().meta({ description: 'Of new containers' }),
    status: z.enum(UPGRADE_STATUSES),
    surge: z.int(),
    spacingSeconds: z.number(),
    failureBudget: z.int(),
    holdSeconds: z.number().nullable(),
    moved: z.int(),
    left,
    onTheirWay,
    heldBack,
    failures: z.array(z.object({ bot: z.string(), why: z.string(), at: isoDate })),
    containers: z.array(z.string()).meta({ description: 'Old containers that are still there' }),
    startedAt: isoDate,
    endedAt: timeOrNull,
  })
  .meta({ id: 'Upgrade' });

const drained = z
  .object({
    container: z.string(),
    status: z.enum(['closed', 'open']),
    since: timeOrNull,
    left,
    onTheirWay,
    heldBack,
    roomElsewhere: z.int().meta({
      description: 'Free slots in other containers of its pool; new containers are made for bots that do not fit there',
    }),
  })
  .meta({ id: 'Drain' });

const drainRequest = z
  .strictObject({
    container: containerName,
    surge: surge.exactOptional().meta({ description: 'Bots on their way at once, at the most; 2 when left out' }),
    force: z.boolean().exactOptional().meta({ description: 'Also bots that their template holds back' }),
    undo: z.boolean().default(false).meta({ description: 'Open it again; bots that have left stay where they are' }),
  })
  .meta({ id: 'DrainRequest' });

const params = z.strictObject({ template: name });

/** `/api/pool/upgrade` and `/api/pool/drain`: bots move out of containers, a few at a time. */
export function upgradeRoutes(api: UpgradeApi): Route[] {
  return [
    route({
      method: 'POST',
      path: '/api/pool/upgrade',
      access: 'admin',
      summary: 'Move the bots of a template into new containers, a few at a time',
      body: upgradeRequest,
      reply: { status: 200, json: z.object({ success, forecast, upgrade: upgrade.nullable() }) },
      errors: ['CONFLICT'],
      handle: async ({ body: { dryRun, ...request } }) => {
        const before = api.forecast(request);
        return { json: { ...done, forecast: before, upgrade: dryRun ? null : await api.start(request) } };
      },
    }),
    route({
      method: 'GET',
      path: '/api/pool/upgrade',
      access: 'admin',
      summary: 'The latest upgrade of each template, and how far it is',
      reply: { status: 200, json: z.object({ success, upgrades: z.array(upgrade) }) },
      handle: () => ({ json: { ...done, upgrades: api.list() } }),
    }),
    route({
      method: 'GET',
      path: '/api/pool/upgrade/{template}',
      access: 'admin',
      summary: 'The latest upgrade of a template, and how far it is',
      params,
      reply: { status: 200, json: upgrade },
      handle: ({ params: { template } }) => ({ json: api.get(template) }),
    }),
    route({
      method: 'POST',
      path: '/api/pool/upgrade/{template}',
      access: 'admin',
      summary: 'Pause, resume or abort an upgrade, or have it hold back no bots any more',
      params,
      body: z.strictObject({ action: z.enum(UPGRADE_ACTIONS) }).meta({ id: 'UpgradeAction' }),
      reply: { status: 200, json: upgrade },
      errors: ['CONFLICT'],
      handle: async ({ params: { template }, body: { action } }) => ({ json: await api.act(template, action) }),
    }),
    route({
      method: 'POST',
      path: '/api/pool/drain',
      access: 'admin',
      summary: 'Empty a container for its maintenance, or open it again',
      body: drainRequest,
      reply: { status: 200, json: drained },
      errors: ['CONFLICT'],
      handle: async ({ body: { undo, ...request } }) => ({
        json: await (undo ? api.undoDrain(request.container) : api.drain(request)),
      }),
    }),
    route({
      method: 'GET',
      path: '/api/pool/drain',
      access: 'admin',
      summary: 'Containers that were drained, and what is left in them',
      reply: { status: 200, json: z.object({ success, drains: z.array(drained) }) },
      handle: () => ({ json: { ...done, drains: api.drains() } }),
    }),
  ];
}
