import type { Clock } from '../util/clock.ts';

/** How long a port found taken by somebody outside is not tried again. */
const BLOCKED_MS = 60_000;

/** Ports that a program outside the pool was found to hold. */
export class BlockedPorts {
  readonly #clock: Clock;
  readonly #until = new Map<number, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  block(ports: readonly number[]): void {
    const until = this.#clock.monotonic() + BLOCKED_MS;
    for (const port of ports) this.#until.set(port, until);
  }

  /** Those to be kept away from now. */
  now(): ReadonlySet<number> {
    const now = this.#clock.monotonic();
    return new Set([...this.#until].filter(([, until]) => until > now).map(([port]) => port));
  }
}
