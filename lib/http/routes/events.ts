import * as z from 'zod';
import type { Actor } from '../../domain/state.ts';
import type { PoolApi } from '../../services/pool-api.ts';
import { InvalidRequest } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { isoDate } from '../schemas.ts';
import type { SseMessage } from '../sse.ts';

const event = z
  .object({ at: isoDate, type: z.string() })
  .catchall(z.unknown())
  .meta({ id: 'Event', description: 'Its facts beside its type; `gap`: some were missed, read the state anew' });

/** Everything that happens, as it happens. */
export function eventRoutes(api: PoolApi): Route[] {
  return [
    route({
      method: 'GET',
      path: '/api/events',
      access: 'any',
      summary: 'Events as they happen; with Last-Event-ID those missed first. An owner sees those of their own bots',
      reply: { status: 200, events: event },
      handle: ({ actor, lastEventId }) => {
        const lastId = lastEventId === null ? null : idOf(lastEventId);
        return { events: (signal) => messages(api, actor, lastId, signal) };
      },
    }),
  ];
}

async function* messages(
  api: PoolApi,
  actor: Actor,
  lastId: number | null,
  signal: AbortSignal,
): AsyncGenerator<SseMessage> {
  for await (const { id, at, event: happened } of api.events(actor, lastId, signal)) {
    yield { id: String(id), event: happened.type, data: { at, ...happened } };
  }
}

function idOf(lastEventId: string): number {
  if (/^\d{1,16}$/.test(lastEventId)) return Number(lastEventId);
  throw new InvalidRequest([{ path: 'Last-Event-ID', message: 'is not an id of this stream; leave it out' }]);
}
