import type * as z from 'zod';
import type { ErrorCode } from '../domain/errors.ts';
import type { Actor } from '../domain/state.ts';
import type { CompatGroup } from '../domain/visitor.ts';
import type { SseMessage } from './sse.ts';

/** `any`: whoever has a token; the services then narrow an owner to their own. */
export type Access = 'public' | 'any' | 'admin';

export interface RouteInput<Params, Query, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly lastEventId: string | null;
  readonly idempotencyKey: string | null;
  /** Which of these content types the caller likes best; the first when they do not say. */
  readonly accepts: (types: readonly string[]) => string | undefined;
  /** Scheme and host the caller asked for; null when that cannot be told. */
  readonly origin: string | null;
}

/** What a handler answers: JSON, plain text, or a stream of events that ends with the signal. */
export type Result<T> =
  | { readonly json: T; readonly status?: number; readonly headers?: Readonly<Record<string, string>> }
  | { readonly text: string; readonly type: string }
  | { readonly events: (signal: AbortSignal) => AsyncIterable<SseMessage> };

/** Kinds of answer of a route, for its documentation. */
export interface ReplySpec<Reply extends z.ZodType> {
  readonly status: number;
  readonly json?: Reply;
  /** Content type of a plain text answer. */
  readonly text?: string;
  /** Schema of the `data` of each of its events. */
  readonly events?: z.ZodType;
}

/** Keeps secrets out of what is kept of an answer. */
export interface Secrets<Json> {
  readonly leaveOut: (json: DeepReadonly<Json>) => DeepReadonly<Json>;
  /** With those that the actor may know now. */
  readonly fillIn: (json: DeepReadonly<Json>, actor: Actor) => DeepReadonly<Json>;
}

interface RouteSpec<
  A extends Access,
  Params extends z.ZodObject,
  Query extends z.ZodObject,
  Body extends z.ZodType,
  Reply extends z.ZodType,
> {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** With parameters in braces, as OpenAPI writes them. */
  readonly path: `/${string}`;
  readonly access: A;
  /** Callers without a token are let in as well, as visitors of this group. */
  readonly open?: CompatGroup;
  readonly summary: string;
  readonly params?: Params;
  readonly query?: Query;
  readonly body?: Body;
  readonly reply: ReplySpec<Reply>;
  /** Codes beyond those that every route can answer. */
  readonly errors?: readonly ErrorCode[];
  /** The answer holds a secret, so it is never kept for a replay. */
  readonly secretReply?: true;
  /** The answer holds secrets that can be looked up again: it is kept for a replay without them. */
  readonly secrets?: Secrets<z.input<Reply>>;
  readonly handle: (
    input: RouteInput<z.output<Params>, z.output<Query>, z.output<Body>> & {
      readonly actor: A extends 'public' ? null : Actor;
    },
  ) => Result<DeepReadonly<z.input<Reply>>> | Promise<Result<DeepReadonly<z.input<Reply>>>>;
}

/** A route as data: the router, the OpenAPI document and the tests are made from it. */
export type Route = Omit<RouteSpec<Access, z.ZodObject, z.ZodObject, z.ZodType, z.ZodType>, 'handle' | 'secrets'> & {
  readonly secrets?: {
    readonly leaveOut: (json: unknown) => unknown;
    readonly fillIn: (json: unknown, actor: Actor) => unknown;
  };
  readonly handle: (
    input: RouteInput<unknown, unknown, unknown> & { readonly actor: Actor | null },
  ) => Result<unknown> | Promise<Result<unknown>>;
};

type Nothing = z.ZodObject<Record<never, never>>;

/** Checks a route's handler against its schemas, then forgets their types. Inputs are parsed before it is called. */
export function route<
  A extends Access,
  Params extends z.ZodObject = Nothing,
  Query extends z.ZodObject = Nothing,
  Body extends z.ZodType = Nothing,
  Reply extends z.ZodType = z.ZodNever,
>(spec: RouteSpec<A, Params, Query, Body, Reply>): Route {
  return spec as unknown as Route;
}

export const changesSomething = (found: Route): boolean => found.method !== 'GET';

export type DeepReadonly<T> = T extends (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T;
