import { expect } from 'vitest';
import type { Agent, Driver } from '../../lib/drivers/driver.ts';
import { MemoryDriver } from '../../lib/drivers/memory.ts';
import type { Store } from '../../lib/store/store.ts';
import { systemClock as clock } from '../../lib/util/clock.ts';
import { waitFor } from '../support/wait-for.ts';
import { type Machine, System } from './system.ts';

/** Burns down with every effect; at its end the orchestrator is as dead as after kill -9: nothing it awaits ever comes. */
export class Fuse {
  dead = false;
  points = 0;
  readonly #length: number;
  readonly #onDeath = Promise.withResolvers<void>();

  constructor(length: number) {
    this.#length = length;
  }

  get died(): Promise<void> {
    return this.#onDeath.promise;
  }

  /** Counts a point before or after an effect. */
  async point(): Promise<void> {
    this.points += 1;
    if (!this.dead && this.points < this.#length) return;
    this.dead = true;
    this.#onDeath.resolve();
    return new Promise(() => {});
  }

  async around<T>(work: () => Promise<T>): Promise<T> {
    await this.point();
    const result = await work();
    await this.point();
    return result;
  }
}

/** Observing changes nothing, so to die before or after it is all the same; every other call is a point. */
const QUIET = new Set(['list', 'observe', 'wait', 'capabilities', 'portsInUse', 'log', 'settled']);

function fused<T extends object>(subject: T, fuse: Fuse): T {
  return new Proxy(subject, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function' || key === 'watch' || key === 'close' || key === 'current') {
        return typeof value === 'function' ? value.bind(target) : value;
      }
      return async (...args: unknown[]) => {
        if (fuse.dead) return new Promise(() => {});
        const call = async (): Promise<unknown> => Reflect.apply(value, target, args);
        const result = QUIET.has(String(key)) || key === 'connect' ? await call() : await fuse.around(call);
        return key === 'connect' ? fused(result as Agent, fuse) : result;
      };
    },
  });
}

export async function startFused(machine: Machine, fuse: Fuse): Promise<System> {
  const driver: Driver = fused(new MemoryDriver({ clock, world: machine.world }), fuse);
  const store: Store = fused(await machine.store(), fuse);
  const shelves = machine.shelves((vault) => ({
    ...vault,
    write: (name, content) => fuse.around(() => vault.write(name, content)),
    remove: (name) => fuse.around(() => vault.remove(name)),
  }));
  const system = new System(machine, { driver, store, ...shelves, accounts: await machine.accounts() });
  const started = system.reconciler.start(1_000_000_000);
  await Promise.race([started, fuse.died]);
  return system;
}

/** What somebody asks for, and when it is done. Asked for again after the orchestrator died, as a client without an answer would. */
export interface Act {
  readonly what: string;
  readonly act: (system: System) => Promise<unknown>;
  readonly done: (system: System) => boolean;
}

/** Plays the story from that act on until its end or the orchestrator's. Returns the act that was not finished. */
async function play(story: readonly Act[], system: System, fuse: Fuse, from: number): Promise<number> {
  for (let index = from; index < story.length; index++) {
    const step = story[index];
    if (step === undefined) break;
    await Promise.race([step.act(system), fuse.died]);
    const finished = waitFor(step.what, () => fuse.dead || step.done(system), 5000);
    await Promise.race([finished, fuse.died]);
    if (fuse.dead) return index;
  }
  return story.length;
}

/**
 * Plays the story again and again, each time with an orchestrator that dies one effect later and another that goes on from
 * there, until one survives. Returns how many effects there are.
 */
export async function killEverywhere(
  newMachine: () => Promise<Machine>,
  newStory: (machine: Machine) => readonly Act[],
  check: (machine: Machine, system: System) => Promise<void>,
): Promise<number> {
  for (let length = 1; ; length++) {
    await using machine = await newMachine();
    const story = newStory(machine);
    const fuse = new Fuse(length);
    const first = await startFused(machine, fuse);
    const reached = fuse.dead ? 0 : await play(story, first, fuse, 0);
    const survived = !fuse.dead;
    fuse.dead = true;
    const endless = new Fuse(Number.POSITIVE_INFINITY);
    const second = await startFused(machine, endless);
    expect(await play(story, second, endless, reached), `killed at point ${length}`).toBe(story.length);
    await check(machine, second);
    await second.reconciler.close();
    if (survived) return length;
  }
}
