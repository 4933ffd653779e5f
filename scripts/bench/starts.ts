import { setTimeout as sleep } from 'node:timers/promises';
import { readProcess } from '../lib/host-processes.ts';
import { type Answer, timeAnswers } from './answering.ts';
import type { BenchOptions, Row } from './bench.ts';
import { onGround } from './ground.ts';
import { type Round, startRows } from './start-rows.ts';
import { untilTrading } from './trading.ts';
import { openWay } from './ways/open.ts';
import type { Ground, Way, WayKind } from './ways/way.ts';

/** Runs all the time, so that no bot that is timed pays for the container, the zygote or files that nobody had read yet. */
const RESIDENT = 'resident';
const LOOK_ALONE_MS = 20;
/** Rarer for many, so that looking takes little time from what is looked at. */
const LOOK_MANY_MS = 60;
const TRADE_SECONDS = 300;
const DYING_MS = 2;

interface Contender {
  readonly kind: WayKind;
  readonly way: Way;
  readonly rounds: Round[];
}

/** Seconds until bots answer. All ways are open at the same time and take turns, so that they meet the same machine. */
export function runStarts(options: BenchOptions): Promise<readonly Row[]> {
  const [many = 10] = options.bots;
  return onGround({ timeframe: '1m', signal: options.signal }, async (ground) => {
    const contenders: Contender[] = [];
    try {
      for (const kind of options.ways) {
        options.progress(`${kind}: opening …`);
        const way = await openWay(kind, ground, many + 1);
        contenders.push({ kind, way, rounds: [] });
        await way.start([RESIDENT]);
        await way.port(RESIDENT);
        await untilTrading(way, [RESIDENT], ground, { seconds: TRADE_SECONDS });
        await way.verify();
      }
      for (let round = 0; round < options.rounds; round++) {
        for (const { way, rounds } of contenders) rounds.push(await timeRound(way, round, many, ground));
        options.progress(`round ${round + 1} of ${options.rounds} done`);
      }
      const timings = contenders.map(({ kind, way: { name, note }, rounds }) => ({ kind, name, note, rounds }));
      return startRows(many, timings);
    } finally {
      for (const { way } of contenders) await way.close();
    }
  });
}

// Private

async function timeRound(way: Way, round: number, many: number, ground: Ground): Promise<Round> {
  const fleet = Array.from({ length: many }, (_, index) => `bot-${round}-${index}`);
  const alone = await timeFleet(way, [`bot-${round}`], ground, LOOK_ALONE_MS);
  const together = await timeFleet(way, fleet, ground, LOOK_MANY_MS);
  return {
    startAlone: alone.starts,
    killAlone: alone.kills,
    startMany: together.starts,
    killMany: together.kills,
  };
}

/** New bots each time: one that has died before would be held back for it. */
async function timeFleet(
  way: Way,
  ids: readonly string[],
  ground: Ground,
  everyMs: number,
): Promise<{ readonly starts: readonly Answer[]; readonly kills: readonly Answer[] }> {
  const starts = await timeAnswers(way, ids, ground, { begin: () => way.start(ids), everyMs });
  await untilTrading(way, ids, ground, { seconds: TRADE_SECONDS });
  const { bots } = await way.census();
  const pids = ids.map((id) => bots.get(id) as number);
  const kills = await timeAnswers(way, ids, ground, { begin: () => kill(pids), everyMs });
  await way.verify();
  await way.stop(ids);
  return { starts, kills };
}

/** Resolves when none of them can answer any more. */
async function kill(pids: readonly number[]): Promise<void> {
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  const lives = (pid: number): boolean => !'ZX'.includes(readProcess(pid)?.state ?? 'X');
  while (pids.some(lives)) await sleep(DYING_MS);
}
