import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { mapLimited } from '../../lib/util/limit.ts';
import { readProcess } from '../lib/host-processes.ts';
import type { Census, Ground, Way } from './ways/way.ts';

/** How long one bot took. */
export interface Answer {
  /** Until its own port answers a ping. */
  readonly seconds: number;
  /** Until it says its name where its owner reaches it: behind Bunkhouse's proxy, or on its port. */
  readonly ownerSeconds: number;
  /** CPU until it answered: its own, and its share of what its keepers used meanwhile. */
  readonly cpuSeconds: number;
}

const PATIENCE_MS = 300_000;

/** Begins something that makes bots answer, and waits until each does. `everyMs`: how often it is looked. */
export async function timeAnswers(
  way: Way,
  ids: readonly string[],
  ground: Ground,
  { begin, everyMs }: { readonly begin: () => Promise<void>; readonly everyMs: number },
): Promise<readonly Answer[]> {
  const before = await way.census();
  const usedBefore = cpuOf(before);
  const began = performance.now();
  const failed = new AbortController();
  const watch = { began, everyMs, before, signal: AbortSignal.any([ground.signal, failed.signal]) };
  const beginning = begin().catch((error: unknown) => {
    failed.abort(error);
    throw error;
  });
  const [answers] = await both(
    mapLimited(ids, ids.length, (id) => timeOne(way, id, watch)),
    beginning,
  );
  const used = [...cpuOf(await way.census())].reduce((sum, [pid, cpu]) => sum + cpu - (usedBefore.get(pid) ?? 0), 0);
  return answers.map((answer) => ({ ...answer, cpuSeconds: answer.cpuSeconds + used / ids.length }));
}

// Private

/** Both results, once both have ended; rejects then, so that nothing goes on behind a clean-up. */
async function both<A, B>(one: Promise<A>, other: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([one, other]);
  return [await one, await other];
}

async function timeOne(
  way: Way,
  id: string,
  watch: { readonly began: number; readonly everyMs: number; readonly before: Census; readonly signal: AbortSignal },
): Promise<Answer> {
  const { began, everyMs, before, signal } = watch;
  const elapsed = (): number => (performance.now() - began) / 1000;
  const port = await way.port(id);
  await until(() => pings(port), everyMs, signal, `${id} answers`);
  const seconds = elapsed();
  const pid = (await way.census()).bots.get(id);
  if (pid === undefined || pid === before.bots.get(id))
    throw new Error(`${way.name}: not ${id} answers on port ${port}`);
  const cpuSeconds = readProcess(pid)?.cpuSeconds ?? 0;
  const saysItsName = (): Promise<boolean> =>
    way.ask<{ bot_name: string }>(id, 'show_config').then(
      ({ bot_name }) => bot_name === id,
      () => false,
    );
  await until(saysItsName, everyMs, signal, `${id} says its name`);
  return { seconds, ownerSeconds: elapsed(), cpuSeconds };
}

/** Of each keeper. */
function cpuOf({ keepers }: Census): ReadonlyMap<number, number> {
  return new Map(keepers.map((pid) => [pid, readProcess(pid)?.cpuSeconds ?? 0]));
}

/** With a connection of its own, so that none to an earlier process is in the way. */
function pings(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path: '/api/v1/ping', agent: false, timeout: 2000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.once('timeout', () => request.destroy());
    request.once('error', () => resolve(false));
  });
}

async function until(done: () => Promise<boolean>, everyMs: number, signal: AbortSignal, what: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await done())) {
    if (performance.now() > deadline) throw new Error(`not within ${PATIENCE_MS / 1000} s: ${what}`);
    await sleep(everyMs, undefined, { signal });
  }
}
