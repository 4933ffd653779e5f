import * as z from 'zod';
import type { LogChunk } from '../../domain/agent.ts';
import type { PoolApi } from '../../services/pool-api.ts';
import type { Clock } from '../../util/clock.ts';
import { InvalidRequest } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { botParams, containerName, flag, name, queryInt } from '../schemas.ts';
import type { SseMessage } from '../sse.ts';

/** Most bytes of a log in one call; the tail cannot reach further back. */
const CHUNK_BYTES = 256 * 1024;
const POLL_MS = 1000;

const piece = z
  .object({
    file: z.string().meta({ description: 'Changes when the log was rotated' }),
    offset: z.int().meta({ description: 'Where the next piece begins' }),
    data: z.string(),
  })
  .meta({ id: 'Log' });

const wish = z.strictObject({
  follow: flag,
  tail: queryInt(0, 10_000).default(200).meta({ description: 'Lines, as far as the last 256 KiB hold them' }),
});

type Wish = z.output<typeof wish>;
type Piece = z.infer<typeof piece>;
type Read = (offset: number) => Promise<LogChunk>;

/** Output of a bot or a service: its tail, or that and what follows. */
export function logRoutes(api: PoolApi, clock: Clock): Route[] {
  const serve = async (read: Read, { follow: goOn, tail }: Wish, lastEventId: string | null) => {
    const begun = lastEventId === null ? null : placeOf(lastEventId);
    const first = goOn && begun !== null ? begun : tailOf(await read(-CHUNK_BYTES), tail);
    if (!goOn) return { json: first };
    return { events: (signal: AbortSignal) => follow(read, first, clock, signal) };
  };
  return [
    route({
      method: 'GET',
      path: '/api/bots/{id}/logs',
      access: 'any',
      summary: 'The last lines of its output; with follow=true as events, going on until the reader leaves',
      params: botParams,
      query: wish,
      reply: { status: 200, json: piece, events: piece },
      errors: ['BOT_UNAVAILABLE'],
      handle: ({ actor, params, query, lastEventId }) =>
        serve((offset) => api.log(actor, params.id, offset, CHUNK_BYTES), query, lastEventId),
    }),
    route({
      method: 'GET',
      path: '/api/pool/containers/{container}/services/{service}/logs',
      access: 'admin',
      summary: 'The last lines of what a shared service printed; with follow=true as events',
      params: z.strictObject({ container: containerName, service: name }),
      query: wish,
      reply: { status: 200, json: piece, events: piece },
      handle: ({ params, query, lastEventId }) =>
        serve((offset) => api.serviceLog(params.container, params.service, offset, CHUNK_BYTES), query, lastEventId),
    }),
  ];
}

async function* follow(read: Read, first: Piece, clock: Clock, signal: AbortSignal): AsyncGenerator<SseMessage> {
  let { file, offset } = first;
  if (first.data !== '') yield message(first);
  while (!signal.aborted) {
    const chunk = await read(offset);
    if (chunk.file !== file) {
      file = chunk.file;
      offset = 0;
      continue;
    }
    if (chunk.data === '') {
      await clock.sleep(POLL_MS, signal);
      continue;
    }
    offset = chunk.next;
    yield message({ file, offset, data: chunk.data });
  }
}

const message = (data: Piece): SseMessage => ({ id: `${data.file}:${data.offset}`, event: 'log', data });

function tailOf(chunk: LogChunk, lines: number): Piece {
  const all = chunk.data.split('\n');
  const ended = all.at(-1) === '';
  const kept = lines === 0 ? [] : all.slice(ended ? -lines - 1 : -lines);
  return { file: chunk.file, offset: chunk.next, data: kept.join('\n') };
}

function placeOf(lastEventId: string): Piece {
  const [, file, offset] = /^(.+):(\d{1,15})$/.exec(lastEventId) ?? [];
  if (file === undefined) {
    throw new InvalidRequest([{ path: 'Last-Event-ID', message: 'is not an id of this stream; leave it out' }]);
  }
  return { file, offset: Number(offset), data: '' };
}
