import type { IncomingMessage } from 'node:http';
import { BunkhouseError } from '../domain/errors.ts';
import type { Actor } from '../domain/state.ts';
import { type CompatGroup, visitorAt } from '../domain/visitor.ts';
import type { Clock } from '../util/clock.ts';
import { RateLimiter } from '../util/rate-limiter.ts';
import { callerKey, clientAddress, type Trusts } from './client.ts';

export interface VisitorsOptions {
  /** Groups that need no token, and how many requests a minute one address may make there. */
  readonly open: ReadonlyMap<CompatGroup, number>;
  readonly trusts: Trusts;
  readonly clock: Pick<Clock, 'monotonic'>;
}

export interface Visitors {
  isOpen(group: CompatGroup): boolean;
  /** Counts a request without a token. Null: the group needs one. Throws RATE_LIMITED. */
  admit(group: CompatGroup, req: IncomingMessage): Actor | null;
}

/** Callers without a token, where the operator lets them in. */
export function createVisitors({ open, trusts, clock }: VisitorsOptions): Visitors {
  const limiters = new Map([...open].map(([group, perMinute]) => [group, new RateLimiter({ clock, perMinute })]));
  return {
    isOpen: (group) => limiters.has(group),
    admit(group, req) {
      const limiter = limiters.get(group);
      if (limiter === undefined) return null;
      const key = callerKey(clientAddress(req, trusts));
      const retryAfterSeconds = limiter.take(key) / 1000;
      if (retryAfterSeconds === 0) return visitorAt(key);
      const many = `more than ${open.get(group)} requests a minute without a token from ${key}`;
      throw new BunkhouseError('RATE_LIMITED', `${many}; try again in ${Math.ceil(retryAfterSeconds)} s`, {
        retryAfterSeconds,
      });
    },
  };
}
