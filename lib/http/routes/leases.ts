import * as z from 'zod';
import type { Actor } from '../../domain/state.ts';
import type { LeaseApi, LeaseTick, LeaseView } from '../../services/lease-api.ts';
import { accessKeptOut } from '../lease-secrets.ts';
import { type Route, route } from '../route.ts';
import { botAddress, botState, isoDate, leaseId, name, ownerId } from '../schemas.ts';
import type { SseMessage } from '../sse.ts';

const DAY = 86_400;
const seconds = z
  .number()
  .min(1)
  .max(365 * DAY);

const params = z.strictObject({ id: leaseId });

const how = z.enum(['released', 'expired', 'lost']);

const leaseView = z
  .object({
    id: z.string(),
    instanceId: z.string().meta({ description: 'The bot that is handed out' }),
    owner: z.string(),
    template: z.string(),
    location: z.string(),
    url: botAddress,
    state: botState.nullable().meta({ description: 'Of the bot; null once the lease has ended' }),
    createdAt: isoDate,
    expiresAt: isoDate,
    ttlSeconds: z.int().meta({ description: 'That are left' }),
    fromPool: z.boolean().meta({ description: 'Whether a warm bot was waiting; otherwise it is being started' }),
    fence: z.int().meta({ description: 'Grows from lease to lease' }),
    access: z.record(z.string(), z.string()).nullable().meta({
      description: 'What its template tells the holder, such as a password; null in lists and once it has ended',
    }),
    end: z.object({ at: isoDate, how }).nullable().meta({ description: 'Null while it lasts' }),
  })
  .meta({ id: 'Lease' });

const acquire = z
  .strictObject({
    template: name.exactOptional().meta({ description: 'DEFAULT_TEMPLATE when left out' }),
    ttlSeconds: seconds.exactOptional(),
    location: name.exactOptional().meta({ description: 'Wherever one is ready when left out' }),
    owner: ownerId.exactOptional(),
    waitSeconds: z.number().min(0).max(300).exactOptional().meta({
      description:
        'How long the answer may wait for a bot that is being started to run, and for the certificate of its host name',
    }),
  })
  .meta({ id: 'AcquireLease' });

const tick = z
  .discriminatedUnion('type', [
    z.object({ type: z.literal('ttl'), ttlSeconds: z.int(), expiresAt: isoDate }),
    z.object({ type: z.literal('expired'), how }),
    z.object({ type: z.literal('reconnect') }),
  ])
  .meta({ id: 'LeaseTick' });

/** `/api/leases`: bots handed out for a time. */
export function leaseRoutes(api: LeaseApi): Route[] {
  const secrets = accessKeptOut<LeaseView>(api, ({ id }) => id);
  return [
    route({
      method: 'POST',
      path: '/api/leases',
      access: 'any',
      summary: 'Acquire a bot for a time',
      body: acquire,
      reply: { status: 201, json: leaseView },
      secrets,
      errors: ['UNKNOWN_LOCATION', 'FORBIDDEN', 'RATE_LIMITED', 'POOL_EXHAUSTED', 'DRIVER_UNAVAILABLE'],
      handle: async ({ actor, body, idempotencyKey }) => {
        const lease = await api.acquire(actor, body, idempotencyKey);
        return { json: lease, headers: { Location: `/api/leases/${lease.id}` } };
      },
    }),
    route({
      method: 'GET',
      path: '/api/leases',
      access: 'any',
      summary: 'Leases that last, an owner sees their own',
      reply: { status: 200, json: z.object({ leases: z.array(leaseView) }) },
      handle: ({ actor }) => ({ json: { leases: api.list(actor) } }),
    }),
    route({
      method: 'GET',
      path: '/api/leases/{id}',
      access: 'any',
      summary: 'One lease; an ended one for an hour',
      params,
      reply: { status: 200, json: leaseView },
      handle: ({ actor, params: { id } }) => ({ json: api.get(actor, id) }),
    }),
    route({
      method: 'POST',
      path: '/api/leases/{id}/extend',
      access: 'any',
      summary: 'Let it last longer',
      params,
      body: z.strictObject({ seconds }),
      reply: { status: 200, json: leaseView },
      secrets,
      errors: ['CONFLICT'],
      handle: async ({ actor, params: { id }, body }) => ({ json: await api.extend(actor, id, body.seconds) }),
    }),
    route({
      method: 'DELETE',
      path: '/api/leases/{id}',
      access: 'any',
      summary: 'Release it: the bot is stopped and cleaned or deleted',
      params,
      reply: { status: 200, json: leaseView },
      secrets,
      handle: async ({ actor, params: { id } }) => ({ json: await api.release(actor, id) }),
    }),
    route({
      method: 'GET',
      path: '/api/leases/{id}/status',
      access: 'any',
      summary: 'Countdown of a lease, a message a second',
      params,
      reply: { status: 200, events: tick },
      handle: ({ actor, params: { id } }) => {
        api.get(actor, id);
        return { events: (signal) => messages(api, actor, id, signal) };
      },
    }),
  ];
}

async function* messages(api: LeaseApi, actor: Actor, id: string, signal: AbortSignal): AsyncGenerator<SseMessage> {
  for await (const message of api.countdown(actor, id, signal) as AsyncIterable<LeaseTick>) {
    yield { event: message.type, data: message };
  }
}
