/** What is done to the fleet next. */
export type Deed =
  | { readonly kind: 'stop' | 'start' | 'restart' | 'kill'; readonly bot: string }
  | { readonly kind: 'kill-zygote' };

/** Numbers from 0 to 1 that depend on nothing but the seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const ZYGOTE_SHARE = 0.02;
const STOP_SHARE = 0.3;
const RESTART_SHARE = 0.3;

/**
 * Chosen from the wishes alone, so that the same seed means the same deeds however fast the machine is. A stopped bot is
 * started again; of the others a part is stopped, never more than half of all.
 */
export function nextDeed(random: () => number, bots: readonly string[], stopped: ReadonlySet<string>): Deed {
  if (random() < ZYGOTE_SHARE) return { kind: 'kill-zygote' };
  const bot = bots[Math.floor(random() * bots.length)] as string;
  const chance = random();
  if (stopped.has(bot)) return { kind: 'start', bot };
  if (chance < STOP_SHARE && stopped.size < bots.length / 2) return { kind: 'stop', bot };
  return { kind: chance < STOP_SHARE + RESTART_SHARE ? 'restart' : 'kill', bot };
}
