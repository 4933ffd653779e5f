import { Readable } from 'node:stream';
import type { RouterContext } from '@koa/router';
import Router from '@koa/router';
import { BunkhouseError } from '../domain/errors.ts';
import type { Actor } from '../domain/state.ts';
import type { Idempotency, Work } from '../services/idempotency.ts';
import type { Clock } from '../util/clock.ts';
import { type Auth, bearerOf, requireActor } from './auth.ts';
import { readJson } from './body.ts';
import { originOf, type Trusts } from './client.ts';
import { parse } from './parse.ts';
import { HttpError, InvalidRequest, problemOf } from './problem.ts';
import { changesSomething, type Result, type Route, type RouteInput } from './route.ts';
import { sseText } from './sse.ts';
import type { Visitors } from './visitors.ts';

export interface MountOptions {
  readonly auth: Auth;
  readonly idempotency: Idempotency;
  readonly clock: Clock;
  readonly maxBodyBytes: number;
  readonly visitors: Visitors;
  readonly trusts: Trusts;
  /** Ends event streams when the server closes. */
  readonly closing: AbortSignal;
}

/** What every request carries on its way, for log and metrics. */
export interface RequestState {
  requestId: string;
  route: string;
  actor: Actor | null;
}

type Context = RouterContext<RequestState>;
type Input = RouteInput<unknown, unknown, unknown> & { readonly actor: Actor | null };

const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

/** The router of these routes. Each: who is it → what do they ask → one call → reply. */
export function mount(routes: readonly Route[], options: MountOptions): Router<RequestState> {
  const router = new Router<RequestState>({ strict: true, sensitive: true });
  for (const route of routes) {
    const path = route.path.replaceAll(/\{(\w+)\}/g, ':$1');
    router.register(path, [route.method], (ctx: Context) => serve(ctx, route, options));
  }
  return router;
}

/** Throws METHOD_NOT_ALLOWED for a path that other methods have, else NOT_FOUND. */
export function refuseUnknown(router: Router<RequestState>, method: string, path: string): never {
  const methods = new Set(router.match(path, method).path.flatMap((layer) => layer.methods));
  if (methods.size === 0) {
    throw new BunkhouseError('NOT_FOUND', `There is nothing at ${path}; GET /openapi lists what there is.`);
  }
  const allow = [...methods].join(', ');
  throw new HttpError('METHOD_NOT_ALLOWED', `${method} is not possible here, only ${allow}.`, { Allow: allow });
}

async function serve(ctx: Context, route: Route, options: MountOptions): Promise<void> {
  ctx.state.route = route.path;
  const actor = callerOf(ctx, route, options);
  ctx.state.actor = actor;
  const body = changesSomething(route) ? await readJson(ctx.req, options.maxBodyBytes) : {};
  const input: Input = {
    actor,
    params: parse(route.params, ctx.params),
    query: parse(route.query, { ...ctx.query }),
    body: parse(route.body, body),
    lastEventId: ctx.get('last-event-id') || null,
    idempotencyKey: ctx.get('idempotency-key') || null,
    origin: originOf(ctx.req, options.trusts),
    accepts: (types) => ctx.accepts([...types]) || types[0],
  };
  const key = ctx.get('idempotency-key');
  if (key !== '' && actor !== null && changesSomething(route)) {
    return replayable(ctx, route, options, { key, actor, body, input });
  }
  reply(ctx, route, await route.handle(input), options);
}

/** Who comes with a token is who the token says, also where nobody needs one. */
function callerOf(ctx: Context, { access, open }: Route, { auth, visitors }: MountOptions): Actor | null {
  if (access === 'public') return null;
  const authorization = ctx.get('authorization') || undefined;
  const visitor = open !== undefined && authorization === undefined ? visitors.admit(open, ctx.req) : null;
  return visitor ?? requireActor(auth, bearerOf(authorization), access);
}

interface Keyed {
  readonly key: string;
  readonly actor: Actor;
  /** As it came: defaults of a newer schema do not make it another request. */
  readonly body: unknown;
  readonly input: Input;
}

async function replayable(ctx: Context, route: Route, options: MountOptions, keyed: Keyed): Promise<void> {
  if (route.secretReply) {
    throw invalidKey('is not possible here: the answer holds a secret, which is kept nowhere');
  }
  if (!IDEMPOTENCY_KEY.test(keyed.key)) throw invalidKey('must be 1 to 255 visible ASCII characters');
  const headers: Record<string, string> = {};
  const { leaveOut = same, fillIn = same } = route.secrets ?? {};
  const work = async (): Promise<Work> => {
    const result = await route.handle(keyed.input);
    if (!('json' in result)) throw new TypeError(`${route.path} changes something but does not answer JSON`);
    Object.assign(headers, result.headers);
    const { json, status = route.reply.status } = result;
    return { status, body: JSON.stringify(json), kept: JSON.stringify(leaveOut(json)) };
  };
  const { actor, key, body } = keyed;
  const mutation = { actor, key, method: route.method, path: ctx.originalUrl, body };
  const answer = await options.idempotency.run(mutation, work);
  if (answer.replayed) headers['Idempotency-Replayed'] = 'true';
  ctx.set(headers);
  ctx.status = answer.status;
  ctx.type = 'application/json';
  ctx.body = answer.replayed ? JSON.stringify(fillIn(JSON.parse(answer.body), actor)) : answer.body;
}

const same = (json: unknown): unknown => json;

function invalidKey(message: string): InvalidRequest {
  return new InvalidRequest([{ path: 'Idempotency-Key', message }]);
}

function reply(ctx: Context, route: Route, result: Result<unknown>, options: MountOptions): void {
  ctx.status = route.reply.status;
  if ('events' in result) {
    stream(ctx, result.events, options);
  } else if ('text' in result) {
    ctx.set('Content-Type', result.type);
    ctx.body = result.text;
  } else {
    ctx.set({ ...result.headers });
    ctx.status = result.status ?? route.reply.status;
    ctx.type = 'application/json';
    ctx.body = JSON.stringify(result.json);
  }
}

function stream(
  ctx: Context,
  events: Extract<Result<unknown>, { events: unknown }>['events'],
  { clock, closing }: MountOptions,
): void {
  const left = new AbortController();
  ctx.res.once('close', () => left.abort());
  const signal = AbortSignal.any([left.signal, closing]);
  const { requestId } = ctx.state;
  const onError = (error: unknown) => ({ event: 'problem', data: problemOf(error, requestId).problem });
  ctx.set({ 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no' });
  ctx.body = Readable.from(sseText(events(signal), { clock, signal, onError }));
  ctx.res.flushHeaders();
}
