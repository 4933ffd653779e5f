import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import Docker from 'dockerode';
import { engineAddress } from '../../lib/drivers/docker/address.ts';
import { FREQTRADE_IMAGE } from '../../lib/drivers/docker/images.ts';
import { createSandbox } from '../../test/e2e/support.ts';
import { type DemoBot, demoBot } from '../../test/fixtures/exchange/demo-bot.ts';
import { startPaperExchange } from '../../test/fixtures/exchange/server.ts';
import { bridgeGateway, DOCKER_HOST, installationOf, removeAllOf } from '../../test/support/docker-harness.ts';
import type { BenchOptions, Row } from '../bench.ts';
import { median } from './figures.ts';

const run = promisify(execFile);
const LOOK_EVERY_MS = 20;
const PATIENCE_MS = 60_000;
const LEGACY_PORT = 28_500;

/** One way to bring a bot up: starts it, resolves when it answers, and takes it away again. */
interface Contender {
  readonly name: string;
  up(round: number): Promise<void>;
  down(round: number): Promise<void>;
  close(): Promise<void>;
}

/** Seconds from asking for a FreqTrade bot until its API answers: in a pool that is there, and by `docker run`, in turn. */
export async function timeStarts({ rounds, progress }: BenchOptions): Promise<readonly Row[]> {
  const engine = await openEngine();
  const exchange = await startPaperExchange({
    host: engine === null ? '127.0.0.1' : await bridgeGateway(engine),
    port: 0,
  });
  const contenders: Contender[] = [];
  try {
    contenders.push(await poolContender('process', null, exchange.url));
    if (engine === null)
      progress(
        `left out: docker run and the docker driver (no engine, or no image ${FREQTRADE_IMAGE}: scripts/build-images)`,
      );
    else contenders.push(await poolContender('docker', engine, exchange.url), await dockerContender(exchange.url));
    const seconds = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
    for (let round = 0; round < rounds; round++) {
      for (const contender of contenders) {
        const began = performance.now();
        await contender.up(round);
        seconds.get(contender.name)?.push((performance.now() - began) / 1000);
        await contender.down(round);
      }
      progress(`start to answering: round ${round + 1} of ${rounds} done`);
    }
    return rowsOf(contenders, seconds, rounds);
  } finally {
    for (const contender of contenders) await contender.close();
    await exchange.close();
  }
}

// Private

function rowsOf(contenders: readonly Contender[], seconds: ReadonlyMap<string, number[]>, rounds: number): Row[] {
  const medians = contenders.map(({ name }) => ({ name, value: median(seconds.get(name) ?? []) }));
  const note = `median of ${rounds}, in turn, FreqTrade against the paper exchange`;
  const rows: Row[] = medians.map(({ name, value }) => ({
    name: `start to answering, ${name}`,
    value,
    unit: 's',
    note,
  }));
  const legacy = medians.find(({ name }) => name === 'docker run');
  if (legacy === undefined) return rows;
  const ratios = medians
    .filter((contender) => contender !== legacy)
    .map(
      ({ name, value }): Row => ({
        name: `${name} / docker run`,
        value: value / legacy.value,
        unit: 'x',
        note: 'below 1 is sooner',
      }),
    );
  return [...rows, ...ratios];
}

/** An engine with the image to compare with; null when there is none. */
async function openEngine(): Promise<Docker | null> {
  const engine = new Docker(engineAddress(DOCKER_HOST));
  try {
    await engine.getImage(FREQTRADE_IMAGE).inspect();
    return engine;
  } catch {
    return null;
  }
}

/** Bunkhouse, with a pool container that is there already. Answering means through its proxy, after the identity check. */
async function poolContender(
  driver: 'process' | 'docker',
  engine: Docker | null,
  exchangeUrl: string,
): Promise<Contender> {
  const basePort = driver === 'docker' ? 28_200 : 28_100;
  const sandbox = await createSandbox({ basePort, env: { POOL_DRIVER: driver, INSTANCE_NAME: 'bench', DOCKER_HOST } });
  const close = async (): Promise<void> => {
    const installation = await installationOf(sandbox.directory);
    await sandbox.dispose();
    if (engine !== null && installation !== null) await removeAllOf(engine, installation);
  };
  const client = await sandbox.start();
  const answers = async (id: string): Promise<boolean> =>
    (await client.request(`/bots/${id}/api/v1/ping`)).status === 200;
  const up = async (id: string): Promise<void> => {
    await client.create(await demoBot(id, exchangeUrl));
    await until(
      () => answers(id),
      async () => JSON.stringify(await client.bot(id)),
    );
  };
  const down = async (id: string): Promise<void> => {
    await client.delete(`/api/bots/${id}`);
    await until(async () => (await client.request(`/api/bots/${id}`)).status === 404);
  };
  try {
    await up('first');
    await down('first');
  } catch (error) {
    await close();
    throw error;
  }
  return {
    name: `Bunkhouse, ${driver} driver`,
    up: (round) => up(`bot-${round}`),
    down: (round) => down(`bot-${round}`),
    close,
  };
}

/** One container per bot, as the old deployments were. */
async function dockerContender(exchangeUrl: string): Promise<Contender> {
  const folder = await mkdtemp(join(tmpdir(), 'bunkhouse-bench-'));
  await chmod(folder, 0o755);
  const name = (round: number): string => `bunkhouse-bench-${process.pid}-${round}`;
  return {
    name: 'docker run',
    async up(round) {
      const directory = await layOut(folder, round, await demoBot(name(round), exchangeUrl));
      const mounts = ['config.json', 'user_data'].flatMap((path) => [
        '-v',
        `${join(directory, path)}:/freqtrade/${path}`,
      ]);
      const publish = ['-p', `127.0.0.1:${LEGACY_PORT}:${LEGACY_PORT}`];
      const command = ['trade', '--config', 'config.json', '--strategy', 'DemoStrategy'];
      await run('docker', [
        'run',
        '-d',
        '--name',
        name(round),
        '-w',
        '/freqtrade',
        ...publish,
        ...mounts,
        '--entrypoint',
        'freqtrade',
        FREQTRADE_IMAGE,
        ...command,
      ]);
      await until(() =>
        fetch(`http://127.0.0.1:${LEGACY_PORT}/api/v1/ping`).then(
          (reply) => reply.ok,
          () => false,
        ),
      );
    },
    async down(round) {
      await run('docker', ['rm', '-f', '-v', name(round)]);
    },
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

/** The folder of one bot of old: its configuration with the API in it, and its user data. */
async function layOut(folder: string, round: number, bot: DemoBot): Promise<string> {
  const directory = join(folder, String(round));
  const config = JSON.parse(bot.files['config.json'] ?? '{}') as Record<string, unknown>;
  const api = {
    enabled: true,
    listen_ip_address: '0.0.0.0',
    listen_port: LEGACY_PORT,
    username: 'u',
    password: 'p',
    jwt_secret_key: 'x'.repeat(40),
  };
  await mkdir(join(directory, 'user_data/strategies'), { recursive: true });
  await writeFile(
    join(directory, 'config.json'),
    JSON.stringify({ ...config, initial_state: 'running', api_server: api }),
  );
  await writeFile(
    join(directory, 'user_data/strategies/DemoStrategy.py'),
    bot.files['user_data/strategies/DemoStrategy.py'] ?? '',
  );
  return directory;
}

async function until(done: () => Promise<boolean>, describe = async (): Promise<string> => ''): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await done())) {
    if (performance.now() > deadline) throw new Error(`not within ${PATIENCE_MS / 1000} s ${await describe()}`);
    await sleep(LOOK_EVERY_MS);
  }
}
