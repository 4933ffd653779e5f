import * as z from 'zod';
import { BOT_STATES } from '../../domain/bot.ts';
import type { LeaseApi } from '../../services/lease-api.ts';
import type { PoolApi } from '../../services/pool-api.ts';
import { type Route, route } from '../route.ts';
import {
  botAddress,
  botState,
  desired,
  done,
  flag,
  instanceId,
  isoDate,
  legacy,
  memory,
  mode,
  reserve,
  resources,
  success,
  timeOrNull,
} from '../schemas.ts';

const zygote = z
  .object({
    key: z.string(),
    state: z.enum(['starting', 'ready', 'failed']),
    pid: z.int().nullable(),
    reason: z.string().meta({ description: 'Why it failed; empty otherwise' }),
    python: z.string(),
    modules: z.int(),
    immortal: z.boolean(),
    merge: z.boolean(),
    notes: z.array(z.string()).meta({ description: 'What is worth knowing though it works' }),
    starts: z.int(),
    forks: z.int().meta({ description: 'Bots forked from the present process' }),
    memory,
  })
  .meta({ id: 'Zygote', description: 'The preloaded process that bots are forked from' });

const service = z
  .object({
    name: z.string(),
    state: z
      .enum(['starting', 'running', 'backoff', 'stopping', 'stopped'])
      .meta({ description: 'running: bots can be started' }),
    pid: z.int().nullable(),
    startedAt: z.number().nullable().meta({ description: 'Seconds since the epoch, as are the other times' }),
    readyAt: z.number().nullable(),
    nextStartAt: z.number().nullable(),
    restarts: z.int(),
    lastExit: z
      .object({ code: z.int().nullable(), signal: z.string().nullable(), at: z.number(), expected: z.boolean() })
      .nullable(),
    status: z.string(),
    memory,
    cpuSeconds: z.number().nullable(),
    openFiles: z.int().nullable(),
    diskBytes: z.int().nullable(),
    outdated: z.boolean().meta({ description: 'Its template was changed: it starts anew as soon as no bot runs' }),
    reason: z.string().meta({ description: 'Why it is not running, or ended the last time' }),
    warning: z.string(),
  })
  .meta({ id: 'Service', description: 'A program that runs once in a container, for all its bots' });

const containerView = z
  .object({
    id: z.string(),
    template: z.string(),
    group: z.string(),
    location: z.string(),
    driver: z.string(),
    containerName: z.string(),
    status: z.enum(['running', 'stopped', 'unknown', 'creating', 'removing']),
    reason: z.string(),
    mode: mode.meta({ description: 'legacy: of one bot alone' }),
    legacy: legacy.meta({ description: 'Why its bot is alone; null when it is shared, or empty' }),
    emptying: z
      .enum(['drain', 'upgrade', 'consolidate'])
      .nullable()
      .meta({ description: 'Why its bots move out and none comes in; null: it is open' }),
    image: z.string().nullable(),
    botsCount: z.int(),
    capacity: z.int(),
    utilizationPercent: z.number(),
    memory,
    zygotes: z.array(zygote),
    services: z.array(service),
    cgroups: z
      .object({ made: z.boolean(), reason: z.string() })
      .nullable()
      .meta({ description: 'Whether each bot has a control group made from inside, and why not' }),
    bots: z.array(z.object({ instanceId: z.string(), slot: z.int(), port: z.int(), state: botState, ...resources })),
  })
  .meta({ id: 'Container' });

const health = z.object({
  status: z.enum(['healthy', 'degraded', 'unhealthy']),
  pools: z.object({ total: z.int(), running: z.int() }),
  bots: z.record(z.enum(BOT_STATES), z.int()).meta({ description: 'How many are in each state' }),
  lastCheck: timeOrNull,
});

const onePerContainer = z
  .object({
    pssBytes: z.int(),
    savedBytes: z.int().meta({ description: 'How much less their containers take now' }),
    samples: z.array(
      z.object({
        template: z.string(),
        version: z.string(),
        pssBytes: z.int(),
        container: z.string(),
        at: isoDate,
      }),
    ),
  })
  .nullable()
  .meta({
    description:
      'What the running bots would cost one per container, from containers in which one executed bot was seen alone; null while there is none for one of their templates',
  });

const location = z
  .object({
    name: z.string(),
    title: z.string().nullable().meta({ description: 'What the code stands for; null for a name of your own' }),
    default: z.boolean().meta({ description: 'Taken when a request names none' }),
    reachable: z.boolean(),
    reason: z.string().meta({ description: 'Why it cannot be reached; empty when it can' }),
  })
  .meta({ id: 'Location' });

const status = z
  .object({
    success,
    poolMode: z.boolean(),
    locations: z.array(location),
    totalPools: z.int(),
    totalBots: z.int(),
    pools: z.array(containerView),
    memory,
    onePerContainer,
    reserves: z.array(reserve),
    health,
  })
  .meta({ id: 'PoolStatus' });

const sweep = z
  .object({
    success,
    timestamp: isoDate,
    pools: z.int(),
    bots: z.int(),
    issues: z.array(z.object({ target: z.string(), problem: z.string() })),
    recoveryActions: z.array(z.string()),
    durationMs: z.number(),
  })
  .meta({ id: 'Sweep' });

const cleanup = z
  .object({
    success,
    removedPools: z.array(z.string()),
    archived: z.array(z.string()),
    kept: z.array(z.object({ id: z.string(), why: z.string() })),
  })
  .meta({ id: 'Cleanup' });

const assignment = z
  .object({
    success,
    instanceId: z.string(),
    isPooled: z.boolean(),
    mode,
    legacy,
    state: botState,
    desired,
    connection: z
      .object({
        host: z.string(),
        port: z.int(),
        url: botAddress,
        containerName: z.string(),
        poolId: z.string(),
        slot: z.int(),
      })
      .nullable()
      .meta({ description: 'Null while it has no place or its container is not known' }),
  })
  .meta({ id: 'Assignment' });

/** `/api/pool/*`: the pools as a whole. */
export function poolRoutes(api: PoolApi, leases: LeaseApi): Route[] {
  return [
    route({
      method: 'GET',
      path: '/api/pool/status',
      access: 'admin',
      summary: 'All containers and what is in them',
      reply: { status: 200, json: status },
      handle: () => ({ json: { ...done, ...api.poolStatus(), reserves: leases.reserves() } }),
    }),
    route({
      method: 'GET',
      path: '/api/locations',
      access: 'any',
      summary: 'Where bots can be',
      reply: { status: 200, json: z.object({ locations: z.array(location) }) },
      handle: () => ({ json: { locations: api.locations() } }),
    }),
    route({
      method: 'GET',
      path: '/api/pool/reserve',
      access: 'admin',
      summary: 'What is kept ready of each template that is handed out on lease, in each location',
      reply: { status: 200, json: z.object({ success, reserves: z.array(reserve) }) },
      handle: () => ({ json: { ...done, reserves: leases.reserves() } }),
    }),
    route({
      method: 'POST',
      path: '/api/pool/health-check',
      access: 'admin',
      summary: 'Sweep now, and say what was found and set in motion',
      reply: { status: 200, json: sweep },
      handle: async () => ({ json: { ...done, ...(await api.healthCheck()) } }),
    }),
    route({
      method: 'POST',
      path: '/api/pool/cleanup',
      access: 'admin',
      summary: 'Remove empty containers and proven orphans',
      query: z.strictObject({ dryRun: flag }),
      reply: { status: 200, json: cleanup },
      handle: async ({ query }) => ({ json: { ...done, ...(await api.cleanup(query.dryRun)) } }),
    }),
    route({
      method: 'GET',
      path: '/api/pool/bot/{instanceId}',
      access: 'any',
      summary: 'Where a bot sits and how it is reached',
      params: z.strictObject({ instanceId }),
      reply: { status: 200, json: assignment },
      handle: ({ actor, params }) => ({ json: { ...done, ...api.assignment(actor, params.instanceId) } }),
    }),
  ];
}
