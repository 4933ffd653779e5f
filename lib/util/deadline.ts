import { BunkhouseError } from '../domain/errors.ts';
import type { Clock } from './clock.ts';

/**
 * The promise's outcome, or DEADLINE after `ms`. The work itself goes on unless it listens to a signal, so use it only
 * for work that may be repeated.
 */
export async function withDeadline<T>(clock: Clock, ms: number, what: string, work: Promise<T>): Promise<T> {
  let cancel: () => void = () => {};
  const expired = new Promise<never>((_, reject) => {
    cancel = clock.after(ms, () => reject(new BunkhouseError('DEADLINE', `${what} did not answer within ${ms} ms`)));
  });
  try {
    return await Promise.race([work, expired]);
  } finally {
    cancel();
  }
}
