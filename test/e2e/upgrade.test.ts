import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { UpgradeView } from '../../lib/services/upgrade-api.ts';
import { CADDY, type CaddyServer, startCaddy } from '../support/caddy.ts';
import { freePorts } from '../support/ports.ts';
import { type Failure, type Met, startCallers } from './callers.ts';
import { createSandbox, fixtureBot, type Sandbox, sleep } from './support.ts';

/** Thirty bots in three containers, asked all the time through a front, while all of them move and the supervisor is killed twice. */

const BOTS = Array.from({ length: 30 }, (_, n) => `bot-${String(n).padStart(2, '0')}`);
/** Bots that have moved when the supervisor is killed. */
const KILLED_AT = [6, 18];
/** How long after a kill an answer may be seen to have ended in its middle. */
const CUT_MS = 500;
/** Answers that may be under way in those two moments, of 30 callers that ask ten times a second for an answer of a few milliseconds. */
const MOST_CUT = 10;

interface Reply {
  readonly upgrade: UpgradeView;
}

describe.skipIf(!CADDY)('an upgrade of 30 bots in three containers', () => {
  let sandbox: Sandbox;
  let caddy: CaddyServer;
  let front: string;

  beforeAll(async () => {
    sandbox = await createSandbox({ basePort: 27_700 });
    await sandbox.start();
    const [port, upstream] = [await freePorts(28_000, 29_000, 1), new URL(sandbox.url).host];
    caddy = await startCaddy(() => ({ http: { servers: { front: frontOf(port, upstream) } } }));
    front = `http://127.0.0.1:${port}`;
    for (const id of BOTS) await sandbox.client.create(await fixtureBot(id, 'server.py'));
    for (const id of BOTS) await sandbox.untilState(id, 'running', 120);
  });

  afterAll(async () => {
    await caddy?.dispose();
    await sandbox?.dispose();
  });

  const view = () => sandbox.client.get<UpgradeView>('/api/pool/upgrade/http');

  it('moves each once, and no caller notices, although the supervisor is killed twice', async () => {
    const before = new Set((await sandbox.client.bots()).map(({ container }) => container));
    expect(before.size).toBe(3);
    const supervisords = new Map(sandbox.supervisords().map(({ pid }) => [pid, true]));
    const callers = startCallers((bot) => `${front}/bots/${bot}/hello`, BOTS, {
      token: sandbox.client.token,
      everyMs: 100,
    });
    const watch = watchLives(sandbox);
    const away = watchAway(sandbox);
    await sleep(1000);

    const began = performance.now();
    const { upgrade } = await sandbox.client.post<Reply>('/api/pool/upgrade', {
      template: 'http',
      surge: 3,
      spacingSeconds: 0.2,
      failureBudget: 0,
    });
    expect(upgrade).toMatchObject({ status: 'running', left: 30, moved: 0 });
    const kills: number[] = [];
    for (const moved of KILLED_AT) {
      await sandbox.until(`${moved} have moved`, async () => (await view()).moved >= moved, 120);
      kills.push(performance.now());
      await sandbox.stop('SIGKILL');
      await sandbox.start();
    }
    const ended = await sandbox.until(
      'the upgrade has ended',
      async () => {
        const now = await view();
        return now.endedAt !== null && now;
      },
      240,
    );
    const seconds = (performance.now() - began) / 1000;
    await sandbox.until(
      'the old containers are gone',
      async () => (await sandbox.client.containers()).length === 3,
      60,
    );
    await sleep(1000);
    await callers.stop();
    const lives = watch.stop();
    const awaySeconds = away.stop();

    const failures = [...callers.met.values()].flatMap((one) => one.failures);
    // What the supervisor had begun to pass on when it was killed ends in the middle, whoever is in front of it.
    const isCut = ({ at, cut }: Failure): boolean => cut && kills.some((kill) => at >= kill && at - kill < CUT_MS);
    const others = failures.filter((failure) => !isCut(failure));
    report({ seconds, met: callers.met, awaySeconds, cut: failures.length - others.length, others, ...lives });
    expect(ended).toMatchObject({ status: 'done', moved: 30, left: 0, failures: [] });
    const after = await sandbox.client.bots();
    expect(after.map(({ state }) => state)).toEqual(BOTS.map(() => 'running'));
    expect(sandbox.supervisords().filter(({ pid }) => supervisords.has(pid))).toEqual([]);
    expect(lives.doubled).toEqual([]);
    expect(others).toEqual([]);
    expect(failures.length).toBeLessThan(MOST_CUT);
  });
});

/** A front as README.md says: it tries again while the supervisor is away. */
function frontOf(port: number, upstream: string) {
  const proxy = {
    handler: 'reverse_proxy',
    upstreams: [{ dial: upstream }],
    load_balancing: { try_duration: 15_000_000_000, try_interval: 100_000_000 },
  };
  return { listen: [`127.0.0.1:${port}`], automatic_https: { disable: true }, routes: [{ handle: [proxy] }] };
}

/** Looks at the processes of all bots again and again: none may be there twice at the same moment. */
function watchLives(sandbox: Sandbox) {
  const doubled: string[] = [];
  let looks = 0;
  const look = (): void => {
    looks += 1;
    const alive = sandbox.processes().filter(({ argv }) => argv.includes('bot.py'));
    const places = Map.groupBy(alive, ({ directory }) => directory.split('/').at(-1) ?? '');
    for (const [bot, found] of places) {
      if (found.length > 1)
        doubled.push(`${bot}: ${found.map(({ pid, directory }) => `${pid} in ${directory}`).join(', ')}`);
    }
  };
  const timer = setInterval(look, 100);
  return {
    stop() {
      clearInterval(timer);
      return { doubled, looks };
    },
  };
}

/** How long each bot did not run for its move, as the supervisor tells; what is told while nobody listens is missed. */
function watchAway(sandbox: Sandbox) {
  const away = new Map<string, number>();
  const stopping = new AbortController();
  void (async () => {
    while (!stopping.signal.aborted) {
      await follow(sandbox, away, stopping.signal).catch(() => {});
      await sleep(50);
    }
  })();
  return {
    stop() {
      stopping.abort();
      return away;
    },
  };
}

async function follow(sandbox: Sandbox, away: Map<string, number>, signal: AbortSignal): Promise<void> {
  const headers = { Authorization: `Bearer ${sandbox.client.token}`, 'Last-Event-ID': '0' };
  const response = await fetch(`${sandbox.url}/api/events`, { headers, signal });
  let text = '';
  for await (const part of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
    text += part;
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    for (const line of lines.filter((each) => each.startsWith('data: ') && each.includes('"bot.moved"'))) {
      const told = JSON.parse(line.slice(6)) as { event?: { bot: string; awaySeconds: number | null } } & {
        bot?: string;
        awaySeconds?: number | null;
      };
      const { bot, awaySeconds } = told.event ?? told;
      if (bot !== undefined && awaySeconds != null) away.set(bot, awaySeconds);
    }
  }
}

function report({
  seconds,
  met,
  awaySeconds,
  cut,
  others,
  looks,
  doubled,
}: {
  readonly seconds: number;
  readonly met: ReadonlyMap<string, Met>;
  readonly awaySeconds: ReadonlyMap<string, number>;
  readonly cut: number;
  readonly others: readonly Failure[];
  readonly looks: number;
  readonly doubled: readonly string[];
}): void {
  const all = [...met.values()];
  const sum = (of: (one: Met) => number): number => all.reduce((total, one) => total + of(one), 0);
  const lines = [
    `30 bots moved in ${seconds.toFixed(1)} s, supervisor killed ${KILLED_AT.length} times`,
    `requests: ${sum(({ requests }) => requests)}, failed: ${others.length}, cut off in the middle of their answer by kill -9: ${cut}`,
    `away, as told by ${awaySeconds.size} of 30: ${spread([...awaySeconds.values()])} s`,
    `longest wait of a caller for an answer: ${spread(all.map(({ longestMs }) => longestMs / 1000))} s`,
    `looks at all processes: ${looks}, bots seen twice: ${doubled.length}`,
    ...new Set(others.map(({ why }) => why)),
  ];
  process.stdout.write(`${lines.map((line) => `  ${line}`).join('\n')}\n`);
}

function spread(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0).toFixed(1);
  return `p50 ${at(0.5)}, max ${at(1)}`;
}
