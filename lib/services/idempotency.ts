import { createHash } from 'node:crypto';
import { BunkhouseError } from '../domain/errors.ts';
import type { Actor, ReplyRecord } from '../domain/state.ts';
import { Table } from '../domain/table.ts';
import type { Store } from '../store/store.ts';
import type { Clock } from '../util/clock.ts';
import { isoTime } from '../util/clock.ts';
import { KeyedMutex } from '../util/keyed-mutex.ts';

const KEEP_MS = 24 * 3600 * 1000;
const MOST_REPLIES = 1000;
/** Left when there were more: so they are sorted now and then, and not for each request. */
const FEWER_REPLIES = 900;

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

export interface Idempotency {
  /**
   * Does the work once per actor and key. The same request again gets the first answer (`replayed`); while the first is
   * under way it waits for it. Another request under the same key throws CONFLICT. Only successes are kept: what failed
   * changed nothing and may be tried again.
   */
  run(mutation: Mutation, work: () => Promise<Answer>): Promise<Answer & { readonly replayed: boolean }>;
}

/** Remembers answers to mutations in the store for a day, at most a thousand of them. */
export function createIdempotency({ store, clock }: { readonly store: Store; readonly clock: Clock }): Idempotency {
  const mutex = new KeyedMutex();

  async function once(slot: string, request: string, work: () => Promise<Answer>) {
    const kept = store.current().replies.get(slot);
    if (kept !== undefined && isFresh(kept, clock.now())) {
      if (kept.request !== request) throw otherRequest();
      return { status: kept.status, body: kept.body, replayed: true };
    }
    const answer = await work();
    await keep(slot, { request, status: answer.status, body: answer.body, at: isoTime(clock.now()) });
    return { ...answer, replayed: false };
  }

  const keep = (slot: string, reply: ReplyRecord): Promise<void> =>
    store.update((state) => ({
      state: { ...state, replies: bounded(state.replies.put(slot, reply)) },
      result: undefined,
    }));

  return {
    run(mutation, work) {
      const slot = digest([mutation.actor, mutation.key]);
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

/** Drops the oldest above the bound. */
function bounded(replies: Table<ReplyRecord>): Table<ReplyRecord> {
  if (replies.size <= MOST_REPLIES) return replies;
  const newestFirst = replies.entries.toSorted(([, a], [, b]) => (a.at < b.at ? 1 : -1));
  return Table.from(newestFirst.slice(0, FEWER_REPLIES));
}

/** Hex SHA-256 of the value's JSON; the body itself, which may hold secrets, is not kept. */
function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}
