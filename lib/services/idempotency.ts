import { createHash } from 'node:crypto';
import { BunkhouseError } from '../domain/errors.ts';
import type { Actor, ReplyRecord } from '../domain/state.ts';
import type { Table } from '../domain/table.ts';
import { isVisitor } from '../domain/visitor.ts';
import type { Store } from '../store/store.ts';
import type { Clock } from '../util/clock.ts';
import { isoTime } from '../util/clock.ts';
import { KeyedMutex } from '../util/keyed-mutex.ts';

const KEEP_MS = 24 * 3600 * 1000;

/** Visitors have a share of their own: they come without a token, so nobody can hold them to anything. */
const SHARES = {
  known: { most: 1000, left: 900 },
  visitors: { most: 100, left: 90 },
} as const;
type Share = keyof typeof SHARES;

/** A mutation as far as telling two apart needs it. `body` is the parsed one. */
export interface Mutation {
  readonly actor: Actor;
  readonly key: string;
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
}

export interface Answer {
  readonly status: number;
  /** JSON. */
  readonly body: string;
}

export interface Work extends Answer {
  /** What of the body is kept for a replay: without secrets. JSON. */
  readonly kept: string;
}

export interface Idempotency {
  /**
   * Does the work once per actor and key. The same request again gets what is kept of the first answer (`replayed`); while the first is
   * under way it waits for it. Another request under the same key throws CONFLICT. Only successes are kept: what failed
   * changed nothing and may be tried again.
   */
  run(mutation: Mutation, work: () => Promise<Work>): Promise<Answer & { readonly replayed: boolean }>;
}

/** Remembers answers to mutations in the store for a day, at most a thousand of them and a hundred of visitors'. */
export function createIdempotency({ store, clock }: { readonly store: Store; readonly clock: Clock }): Idempotency {
  const mutex = new KeyedMutex();

  async function once(slot: string, request: string, work: () => Promise<Work>) {
    const kept = store.current().replies.get(slot);
    if (kept !== undefined && isFresh(kept, clock.now())) {
      if (kept.request !== request) throw otherRequest();
      return { status: kept.status, body: kept.body, replayed: true };
    }
    const { status, body, kept: rest } = await work();
    await keep(slot, { request, status, body: rest, at: isoTime(clock.now()) });
    return { status, body, replayed: false };
  }

  const keep = (slot: string, reply: ReplyRecord): Promise<void> =>
    store.update((state) => ({
      state: { ...state, replies: bounded(state.replies.put(slot, reply), shareOf(slot)) },
      result: undefined,
    }));

  return {
    run(mutation, work) {
      const slot = slotOf(mutation);
      const request = digest([mutation.actor, mutation.method, mutation.path, mutation.body]);
      return mutex.run(slot, () => once(slot, request, work));
    },
  };
}

function otherRequest(): BunkhouseError {
  return new BunkhouseError(
    'CONFLICT',
    'This Idempotency-Key was already used for another request; use a new key for each new request.',
  );
}

const isFresh = (reply: ReplyRecord, now: number): boolean => now - Date.parse(reply.at) < KEEP_MS;

/** Begins with whose it is, so that one's can be told from another's. */
function slotOf({ actor, key }: Mutation): string {
  const visiting = actor.role === 'owner' && isVisitor(actor.owner);
  return `${visiting ? VISITORS : ''}${digest([actor]).slice(0, 16)}.${digest([actor, key])}`;
}

const VISITORS = 'visitor-';
const shareOf = (slot: string): Share => (slot.startsWith(VISITORS) ? 'visitors' : 'known');
const actorOf = (slot: string): string => slot.split('.')[0] ?? '';

/** Above the bound of a share the oldest of whoever has most go: some at once, so that it is not done for each request. */
function bounded(replies: Table<ReplyRecord>, share: Share): Table<ReplyRecord> {
  const { most, left } = SHARES[share];
  if (replies.size <= most) return replies;
  const mine = replies.entries.filter(([slot]) => shareOf(slot) === share);
  if (mine.length <= most) return replies;
  const newestFirst = mine.toSorted(([, a], [, b]) => (a.at < b.at ? 1 : -1));
  const byActor = Map.groupBy(newestFirst, ([slot]) => actorOf(slot));
  const ranked = [...byActor.values()].flatMap((own) => own.map(([slot], rank) => ({ slot, rank })));
  const gone = ranked.sort((a, b) => a.rank - b.rank).slice(left);
  return gone.reduce((rest, { slot }) => rest.drop(slot), replies);
}

/** Hex SHA-256 of the value's JSON; the body itself, which may hold secrets, is not kept. */
function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}
