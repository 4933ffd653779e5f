import { createHash, randomBytes } from 'node:crypto';
import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import Docker from 'dockerode';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { engineAddress } from '../../lib/drivers/docker/address.ts';
import type { MigrationAnswer, MigrationOverview, MigrationView } from '../../lib/services/migration-api.ts';
import { type Ran, run, type Started, start } from '../cli/bunkhouse.ts';
import { createSandbox, type Sandbox } from '../e2e/support.ts';
import { type PaperExchange, startPaperExchange } from '../fixtures/exchange/server.ts';
import { askOld } from '../fixtures/legacy/deployment.ts';
import { type LegacyFleet, type Member, startLegacyFleet, tenPlans } from '../fixtures/legacy/fleet.ts';
import { bridgeGateway, DOCKER_HOST, installationOf, removeAllOf } from '../support/docker-harness.ts';
import { makeTempDir, removeDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';
import { closedOf, essenceOf, rowsInFolder, rowsInPool } from './legacy-rows.ts';
import { type DoubleWatch, isAlive, livesInPool, watchForDoubles } from './legacy-watch.ts';
import { withDocker } from './with-docker.ts';

/** The supervisor is killed when a migration is first seen in each of these: there, and back. */
const THERE = { phases: ['preparing', 'stopping', 'copying', 'placing', 'comparing', 'proving'], from: '' };
const BACK = { phases: ['leaving', 'returning', 'removing', 'reviving'], from: 'done' };

/** Ten real FreqTrade containers, as the old deployments were, on their way into the pool: by the command line, from outside. */
withDocker('bunkhouse migrate', () => {
  const engine = new Docker(engineAddress(DOCKER_HOST));
  let base: string;
  let exchange: PaperExchange;
  let fleet: LegacyFleet;
  let sandbox: Sandbox;
  let watch: DoubleWatch;
  let good: readonly Member[];
  let bad: readonly Member[];
  /** Of this run alone: the machine may have real ones. */
  let only: readonly string[];

  const env = () => ({ BUNKHOUSE_URL: sandbox.url, BUNKHOUSE_TOKEN: sandbox.client.token });
  const migrate = (...args: string[]): Promise<Ran> => run(['migrate', ...args], env());
  const begin = (...args: string[]): Started => start(['migrate', ...args], env());
  const installation = () => installationOf(sandbox.directory);
  const inspect = (member: Member) => engine.getContainer(member.container).inspect();
  const stateOf = async (id: string) => sandbox.client.get<MigrationView>(`/api/migrations/${id}`);
  const tradesOf = async (id: string) =>
    (await sandbox.client.get<{ total_trades: number }>(`/bots/${id}/api/v1/trades?limit=1`)).total_trades;
  async function pooledRows(id: string) {
    return rowsInPool(engine, (await sandbox.client.bot(id)).container as string, id);
  }

  beforeAll(async () => {
    base = await makeTempDir();
    exchange = await startPaperExchange({ host: await bridgeGateway(engine), port: 0 });
    sandbox = await createSandbox({
      basePort: 25_850,
      env: { POOL_DRIVER: 'docker', DOCKER_HOST, INSTANCE_NAME: `e2e-${randomBytes(4).toString('hex')}` },
    });
    fleet = await startLegacyFleet(engine, { base, plans: tenPlans(), exchangeUrl: exchange.url });
    good = fleet.of('running', 'stopped');
    bad = fleet.of('broken-config', 'no-strategy', 'port-taken');
    only = ['--only', ...fleet.members.map(({ instanceId }) => instanceId)];
    await sandbox.start();
    watch = watchForDoubles(engine, installation, fleet.members);
  });

  afterAll(async () => {
    await watch?.stop().catch(() => {});
    const id = sandbox === undefined ? null : await installation();
    await sandbox?.dispose();
    if (id !== null) await removeAllOf(engine, id);
    await fleet?.dispose();
    await exchange?.close();
    await removeDir(base);
  });

  it('as a dry run tells of each what was found and changes nothing', async () => {
    await fleet.rest();
    const before = await everything(engine, fleet);
    const text = await migrate(...only);
    const json = await migrate(...only, '--json');
    expect(await everything(engine, fleet)).toEqual(before);
    await fleet.resume();

    expect([text.code, json.code]).toEqual([0, 0]);
    expect(await sandbox.client.bots()).toEqual([]);
    const { candidates, migrations } = JSON.parse(json.out) as MigrationOverview;
    expect(migrations).toEqual([]);
    expect(candidates.map(({ id }) => id).sort()).toEqual(fleet.members.map(({ instanceId }) => instanceId).sort());
    for (const member of fleet.members) {
      const found = candidates.find(({ id }) => id === member.instanceId);
      expect(found).toMatchObject({
        template: 'freqtrade',
        owner: member.fate === 'broken-config' ? null : member.userId,
        source: { name: member.container, path: member.folder, image: 'freqtradeorg/freqtrade:stable' },
        ready: good.includes(member),
      });
      expect(text.out).toContain(`${member.instanceId}  (${good.includes(member) ? 'can' : 'cannot'} be moved)`);
    }
    const problemOf = (member: Member | undefined) =>
      candidates.find(({ id }) => id === member?.instanceId)?.problems.filter(({ blocking }) => blocking);
    expect(bad.map((member) => [member.fate, problemOf(member)?.map(({ code }) => code)])).toEqual([
      ['broken-config', ['CONFIG_INVALID']],
      ['no-strategy', ['CODE_MISSING']],
      ['port-taken', ['PORT_TAKEN']],
    ]);
    expect(text.out).toMatch(/^7 of 10 bots can be moved\. This was a dry run: nothing was changed\.$/m);
  });

  it('moves the good ones with every trade, over a kill -9 of the supervisor in each phase, and leaves the bad ones', async () => {
    const before = await Promise.all(bad.map(inspect));
    const running = begin('--execute', ...only, '--parallel', '2');
    expect(await killIn(THERE, good, running), 'phases it was not killed in').toEqual([]);
    const first = await running.ran;
    console.log(first.err);
    const again = await migrate('--execute', ...only, '--json');
    const { migrations, refused } = JSON.parse(again.out) as MigrationAnswer;
    expect(refused.map(({ id }) => id).sort()).toEqual(bad.map(({ instanceId }) => instanceId).sort());
    expect(migrations.every(({ phase }) => phase === 'done')).toBe(true);
    expect([first.code, again.code]).toEqual([8, migrations.length === 0 ? 1 : 8]);

    for (const member of good) await expectMoved(member);
    const after = await Promise.all(bad.map(inspect));
    for (const [index, member] of bad.entries()) {
      expect(after[index]?.State).toEqual(before[index]?.State);
      expect(after[index]?.HostConfig).toEqual(before[index]?.HostConfig);
      if (member.fate !== 'port-taken') expect(await askOld(member, 'ping')).toEqual({ status: 'pong' });
    }
  });

  it('brings one back with the trades made since', async () => {
    const [member] = good as [Member];
    const { instanceId: id } = member;
    const moved = closedOf(await rowsInFolder(member.folder)).length;
    await sandbox.until('it trades on', async () => (await tradesOf(id)) > moved + 2, 90);
    const rows = await pooledRows(id);
    const rollingBack = begin('--rollback', id);
    expect((await killIn(BACK, [member], rollingBack)).length).toBeLessThan(BACK.phases.length);
    expect((await rollingBack.ran).code).toBe(0);
    await sandbox.until(
      'the old one answers',
      async () =>
        askOld(member, 'ping').then(
          () => true,
          () => false,
        ),
      60,
    );
    const back = await rowsInFolder(member.folder);
    expect(closedOf(rows).length).toBeGreaterThan(moved + 2);
    for (const row of closedOf(rows)) expect(back.trades).toContainEqual(row);
    expect(essenceOf(back)).toEqual(expect.arrayContaining([...essenceOf(rows)]));
    expect((await inspect(member)).HostConfig.RestartPolicy?.Name).toBe('unless-stopped');
    expect((await sandbox.client.request(`/api/bots/${id}`)).status).toBe(404);
    await sandbox.until('it trades on there', async () => {
      const { total_trades } = await askOld<{ total_trades: number }>(member, 'trades?limit=1');
      return total_trades > closedOf(rows).length;
    });
  });

  it('removes an old container when asked, and keeps its files', async () => {
    const [, member] = good as [Member, Member];
    expect((await migrate('--finish', member.instanceId)).code).toBe(0);
    await expect(inspect(member)).rejects.toMatchObject({ statusCode: 404 });
    expect(closedOf(await rowsInFolder(member.folder)).length).toBeGreaterThan(0);
    const { out } = await migrate('--status');
    expect(out).toMatch(new RegExp(`^${member.instanceId} +finished `, 'm'));
    expect(out).toMatch(new RegExp(`^${good[0]?.instanceId} +rolled-back `, 'm'));
  });

  it('never had one of them alive twice', async () => {
    await watch.stop();
    console.log(`${watch.looks()} looks at ${fleet.members.length} bots in both places`);
    expect(watch.doubles()).toEqual([]);
    expect(watch.looks()).toBeGreaterThan(30);
  });

  /** Ends when all these are over; prints when it was killed, and returns the phases that none was seen in. */
  async function killIn(
    { from, phases }: typeof THERE,
    members: readonly Member[],
    command: Started,
  ): Promise<readonly string[]> {
    const left = new Set(phases);
    // Whoever gets no answer has to ask again.
    await waitFor('the supervisor answered', () => command.err() !== '', 30_000);
    for (;;) {
      const asked = await Promise.allSettled(members.map(({ instanceId }) => stateOf(instanceId)));
      const migrations = asked.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
      if (migrations.length === members.length && migrations.every(({ phase, over }) => over && phase !== from))
        return [...left];
      const met = migrations.find(({ phase }) => left.has(phase));
      if (met === undefined) continue;
      left.delete(met.phase);
      await sandbox.stop('SIGKILL');
      await sandbox.start();
      const { phase } = await stateOf(met.id);
      console.log(`killed while ${met.id} was ${met.phase}; found it ${phase}, and it went on`);
    }
  }

  async function expectMoved(member: Member): Promise<void> {
    const { instanceId: id, folder, fate, userId } = member;
    expect(await stateOf(id)).toMatchObject({ phase: 'done', ranBefore: fate === 'running' });
    expect(await isAlive(engine, member.container)).toBe(false);
    const wanted = fate === 'running' ? 'running' : 'stopped';
    expect(await sandbox.untilState(id, wanted, 60)).toMatchObject({ owner: userId, template: 'freqtrade' });
    const [old, rows] = [await rowsInFolder(folder), await pooledRows(id)];
    expect(old.trades.length).toBeGreaterThan(0);
    for (const row of closedOf(old)) expect(rows.trades).toContainEqual(row);
    expect(essenceOf(rows)).toEqual(expect.arrayContaining([...essenceOf(old)]));
    if (fate === 'stopped') expect(rows).toEqual(old);
    else expect((await livesInPool(engine, (await installation()) as string)).has(id)).toBe(true);
  }
});

/** All files of the deployments, all containers as the engine describes them, and what else the engine has. */
async function everything(engine: Docker, { base, members }: LegacyFleet): Promise<object> {
  const files = (await readdir(base, { recursive: true })).sort().map((name) => join(base, name));
  const containers = await engine.listContainers({ all: true });
  return {
    files: Object.fromEntries(await Promise.all(files.map(async (file) => [file, await fingerprint(file)]))),
    members: await Promise.all(members.map(({ container }) => described(engine, container))),
    containers: containers.map(({ Id }) => Id).sort(),
    volumes: (await engine.listVolumes()).Volumes.map(({ Name }) => Name).sort(),
    networks: (await engine.listNetworks()).map(({ Id }) => Id).sort(),
  };
}

/** The engine tells mounts in any order. */
async function described(engine: Docker, container: string): Promise<object> {
  const { Mounts, ...rest } = await engine.getContainer(container).inspect();
  return { ...rest, Mounts: Mounts.toSorted((a, b) => a.Destination.localeCompare(b.Destination)) };
}

async function fingerprint(file: string): Promise<string> {
  const { mode, uid, gid, size, mtimeMs, ctimeMs, ino } = await lstat(file);
  const content =
    (mode & 0o170000) === 0o100000
      ? createHash('sha256')
          .update(await readFile(file))
          .digest('hex')
      : '';
  return [mode.toString(8), uid, gid, size, mtimeMs, ctimeMs, ino, content].join(' ');
}
