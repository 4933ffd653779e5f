import * as z from 'zod';
import type { Actor } from '../../domain/state.ts';
import type { LeaseView } from '../../services/lease-api.ts';
import { type Route, route } from '../route.ts';
import { isoDate, leaseId } from '../schemas.ts';
import type { SseMessage } from '../sse.ts';
import { absolute, type Group, leaseBy, reserveOf, WAIT_SECONDS } from './group.ts';

const params = z.strictObject({ id: leaseId });
const RELEASED = 'released' as const;
const state = z.enum(['assigned', 'expired']);
const addresses = {
  url: z.string(),
  admin_url: z.string().meta({ description: 'With COMPAT_DEMO_ADMIN_PATH at its end' }),
};

const acquired = z
  .object({ id: z.string(), ...addresses, expires_at: isoDate, ttl_seconds: z.int() })
  .meta({ id: 'AcquiredDemo' });

const demo = z
  .object({
    id: z.string(),
    ...addresses,
    state,
    created_at: isoDate,
    assigned_at: isoDate,
    expires_at: isoDate,
    ttl_remaining_seconds: z.int(),
  })
  .meta({ id: 'Demo' });

const tick = z
  .union([
    z.object({ id: z.string(), ttl_remaining: z.int(), state }),
    z.object({ id: z.string() }).meta({ description: 'Of `expired` and of `reconnect`' }),
  ])
  .meta({ id: 'DemoTick' });

const stats = z
  .object({
    ready: z.int(),
    assigned: z.int(),
    warming: z.int(),
    target: z.int(),
    capacity: z.int().meta({ description: 'Those handed out included' }),
  })
  .meta({ id: 'DemoPool' });

/** `/api/v1/demo`, `/api/v1/pool/stats`: demos for a while. */
export function demoRoutes(group: Group, adminPath: string): Route[] {
  const { leases, template, open } = group;
  const shared = { access: 'any', ...open } as const;
  return [
    route({
      method: 'POST',
      path: '/api/v1/demo/acquire',
      ...shared,
      summary: 'Get a demo',
      reply: { status: 200, json: acquired },
      errors: ['RATE_LIMITED', 'POOL_EXHAUSTED'],
      handle: async ({ actor, idempotencyKey, origin }) => {
        const lease = await leases.acquire(actor, { template, waitSeconds: WAIT_SECONDS }, idempotencyKey);
        const { id, expiresAt, ttlSeconds } = lease;
        return {
          json: { id, ...addressesOf(lease, origin, adminPath), expires_at: expiresAt, ttl_seconds: ttlSeconds },
        };
      },
    }),
    route({
      method: 'GET',
      path: '/api/v1/demo/{id}',
      ...shared,
      summary: 'One demo; one that is over for an hour',
      params,
      reply: { status: 200, json: demo },
      handle: ({ actor, params: { id }, origin }) => {
        const { lease } = leaseBy(group, actor, id);
        const { createdAt, expiresAt, ttlSeconds } = lease;
        return {
          json: {
            id,
            ...addressesOf(lease, origin, adminPath),
            state: stateOf(lease),
            created_at: createdAt,
            assigned_at: createdAt,
            expires_at: expiresAt,
            ttl_remaining_seconds: ttlSeconds,
          },
        };
      },
    }),
    route({
      method: 'POST',
      path: '/api/v1/demo/{id}/extend',
      ...shared,
      summary: 'Let a demo last longer',
      params,
      body: z.strictObject({ minutes: z.int().min(1).max(60) }),
      reply: { status: 200, json: z.object({ id: z.string(), ttl_remaining: z.int(), expires_at: isoDate }) },
      errors: ['CONFLICT'],
      handle: async ({ actor, params: { id }, body: { minutes } }) => {
        const { actor: holder } = leaseBy(group, actor, id);
        const { ttlSeconds, expiresAt } = await leases.extend(holder, id, minutes * 60);
        return { json: { id, ttl_remaining: ttlSeconds, expires_at: expiresAt } };
      },
    }),
    route({
      method: 'DELETE',
      path: '/api/v1/demo/{id}',
      ...shared,
      summary: 'Give a demo back',
      params,
      reply: {
        status: 200,
        json: z.object({ id: z.string(), status: z.literal(RELEASED), message: z.string() }),
      },
      handle: async ({ actor, params: { id } }) => {
        const { actor: holder } = leaseBy(group, actor, id);
        await leases.release(holder, id);
        return { json: { id, status: RELEASED, message: 'The demo has been given back' } };
      },
    }),
    route({
      method: 'GET',
      path: '/api/v1/demo/{id}/status',
      ...shared,
      summary: 'Countdown of a demo, a message a second: `ttl`, then `expired`, or `reconnect`',
      params,
      reply: { status: 200, events: tick },
      handle: ({ actor, params: { id } }) => {
        const { actor: holder } = leaseBy(group, actor, id);
        return { events: (signal) => messages(group, holder, id, signal) };
      },
    }),
    route({
      method: 'GET',
      path: '/api/v1/pool/stats',
      ...shared,
      summary: 'How many demos there are',
      reply: { status: 200, json: stats },
      handle: () => {
        const { ready, assigned, warming, target, maxSize: capacity } = reserveOf(group);
        return { json: { ready, assigned, warming, target, capacity } };
      },
    }),
  ];
}

// Private

function addressesOf({ url: address }: LeaseView, origin: string | null, adminPath: string) {
  const url = absolute(address, origin);
  return { url, admin_url: url + adminPath };
}

const stateOf = ({ end }: LeaseView): z.infer<typeof state> => (end === null ? 'assigned' : 'expired');

async function* messages({ leases }: Group, actor: Actor, id: string, signal: AbortSignal): AsyncGenerator<SseMessage> {
  for await (const message of leases.countdown(actor, id, signal)) {
    const data = message.type === 'ttl' ? { id, ttl_remaining: message.ttlSeconds, state: 'assigned' } : { id };
    yield { event: message.type, data };
  }
}
