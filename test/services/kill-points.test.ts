import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { messageOf } from '../../lib/domain/errors.ts';
import type { Agent, Driver } from '../../lib/drivers/driver.ts';
import { MemoryDriver } from '../../lib/drivers/memory.ts';
import type { ArchiveStore, Store } from '../../lib/store/store.ts';
import { systemClock as clock } from '../../lib/util/clock.ts';
import { waitFor } from '../support/wait-for.ts';
import { ADMIN, Machine, System } from './system.ts';

/** Burns down with every effect; at its end the orchestrator is as dead as after kill -9: nothing it awaits ever comes. */
class Fuse {
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
const QUIET = new Set(['list', 'observe', 'wait', 'capabilities', 'portsInUse', 'log']);

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

async function startFused(machine: Machine, fuse: Fuse): Promise<System> {
  const driver: Driver = fused(new MemoryDriver({ clock, world: machine.world }), fuse);
  const store: Store = fused(await machine.store(), fuse);
  const archives: ArchiveStore = fused(machine.archives(), fuse);
  const system = new System(machine, { driver, store, archives, accounts: await machine.accounts() });
  const started = system.reconciler.start(1_000_000_000);
  await Promise.race([started, fuse.died]);
  return system;
}

/** What an operator does, in order. Each is asked for again after the orchestrator died, as a client without an answer would. */
const STORY: readonly {
  readonly what: string;
  readonly act: (system: System) => Promise<unknown>;
  readonly done: (system: System) => boolean;
}[] = [
  ...['a', 'b', 'c', 'd'].map((instanceId) => ({
    what: `create ${instanceId}`,
    act: (system: System) => system.api.createBot(ADMIN, { instanceId }).catch(unlessThere),
    done: (system: System) => system.states()[instanceId] === 'running',
  })),
  {
    what: 'stop a',
    act: (system) => system.api.setDesired(ADMIN, 'a', 'stopped'),
    done: (system) => system.states().a === 'stopped',
  },
  {
    what: 'delete b',
    act: (system) => system.api.deleteBot(ADMIN, 'b').catch(unlessGone),
    done: (system) => !('b' in system.states()),
  },
  {
    what: 'restart c',
    act: (system) => system.api.restartBot(ADMIN, 'c'),
    done: (system) => system.states().c === 'running',
  },
];

function unlessThere(error: unknown): void {
  if (!messageOf(error).includes('already')) throw error;
}

function unlessGone(error: unknown): void {
  if (!messageOf(error).includes('there is no bot')) throw error;
}

/** Plays the story from that step on until its end or the orchestrator's. Returns the step that was not finished. */
async function play(system: System, fuse: Fuse, from: number): Promise<number> {
  for (let index = from; index < STORY.length; index++) {
    const step = STORY[index];
    if (step === undefined) break;
    await Promise.race([step.act(system), fuse.died]);
    const finished = waitFor(step.what, () => step.done(system) || fuse.dead, 5000);
    await Promise.race([finished, fuse.died]);
    if (fuse.dead) return index;
  }
  return STORY.length;
}

async function checkEnd(machine: Machine, system: System): Promise<void> {
  await system.until({ a: 'stopped', c: 'running', d: 'running' });
  const alive = [...machine.world.containers.values()].flatMap((container) =>
    ['a', 'b', 'c', 'd'].filter((bot) => container.bot(bot)?.alive === true),
  );
  expect(alive.sort()).toEqual(['c', 'd']);
  const placements = system.store.current().bots.records.map((bot) => bot.placement);
  expect(new Set(placements.map((placement) => placement?.port)).size).toBe(3);
  expect(machine.world.containers.size).toBe(2);
  const archives = (await readdir(join(machine.folder, 'archives'))).filter((name) => name.startsWith('b-'));
  expect(archives.length).toBeGreaterThanOrEqual(1);
}

describe('an orchestrator killed at any point', () => {
  it('loses and doubles nothing, and the next one goes on', async () => {
    let length = 1;
    let survived = false;
    while (!survived) {
      await using machine = await Machine.make();
      const fuse = new Fuse(length);
      const first = await startFused(machine, fuse);
      const reached = fuse.dead ? 0 : await play(first, fuse, 0);
      survived = !fuse.dead;
      fuse.dead = true;
      const endless = new Fuse(Number.POSITIVE_INFINITY);
      const second = await startFused(machine, endless);
      expect(await play(second, endless, reached), `killed at point ${length}`).toBe(STORY.length);
      await checkEnd(machine, second);
      await second.reconciler.close();
      length += 1;
    }
    expect(length).toBeGreaterThan(40);
  }, 120_000);
});
