import { messageOf } from '../../lib/domain/errors.ts';
import { systemClock } from '../../lib/util/clock.ts';

const LOOK_EVERY_MS = 20;

/**
 * The first value of `look` that is neither null, undefined nor false. After `ms` it throws what was waited for and what
 * was seen last, be it a value or an error.
 */
export async function waitFor<T>(
  what: string,
  look: () => T | Promise<T>,
  ms = 10_000,
): Promise<Exclude<T, null | undefined | false>> {
  const deadline = systemClock.monotonic() + ms;
  for (;;) {
    const seen = await attempt(look);
    if (seen.kind === 'value' && seen.value !== null && seen.value !== undefined && seen.value !== false) {
      return seen.value as Exclude<T, null | undefined | false>;
    }
    if (systemClock.monotonic() > deadline) {
      const last =
        seen.kind === 'error' ? `it failed: ${messageOf(seen.error)}` : `it was ${JSON.stringify(seen.value)}`;
      throw new Error(`${what}: not within ${ms} ms; at the end ${last}`);
    }
    await systemClock.sleep(LOOK_EVERY_MS);
  }
}

type Seen<T> = { readonly kind: 'value'; readonly value: T } | { readonly kind: 'error'; readonly error: unknown };

async function attempt<T>(look: () => T | Promise<T>): Promise<Seen<T>> {
  try {
    return { kind: 'value', value: await look() };
  } catch (error) {
    return { kind: 'error', error };
  }
}
