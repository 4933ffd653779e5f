import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { confine } from '../../../../lib/drivers/docker/cgroups/confine.ts';
import { ticksSinceBoot } from '../../../../lib/drivers/docker/cgroups/host.ts';
import type { Tenant } from '../../../../lib/drivers/docker/cgroups/members.ts';
import { memoryUsage, settingsOf } from '../../../../lib/drivers/docker/cgroups/settings.ts';
import type { Tree } from '../../../../lib/drivers/docker/cgroups/trees.ts';
import { aTemplate } from '../../../planner/builders.ts';
import { type CgroupSandbox, cgroupSandbox, usableTrees } from '../../../support/cgroup-sandbox.ts';
import { waitFor } from '../../../support/wait-for.ts';

const machines = usableTrees();
/** Of nobody. */
const UID = 1_021_000;
const limits = { ...aTemplate().limits, pssBytes: 80 << 20, cpuWeight: 50, processes: 40 };

describe.skipIf(machines.length > 0)('confining bots', () => {
  it.skip('needs root and cgroups that can be written', () => {});
});

describe.each(machines)('confining bots with cgroups of $what', ({ trees }) => {
  let sandbox: CgroupSandbox;
  beforeEach(async () => {
    sandbox = await cgroupSandbox(trees);
  });
  afterEach(() => sandbox.dispose());

  const everywhere = (place: string): string[] => trees.map(() => place);
  const tenant = (slot: number, pid: number): Tenant => ({ slot, pid, uid: UID + slot, limits });
  const run = async (tenants: readonly Tenant[], housing = { id: sandbox.id, pid: sandbox.pid }) =>
    confine(trees, housing, { tenants, toldAt: ticksSinceBoot() });
  const memory = trees.find(({ controllers }) => controllers.includes('memory'));
  const ended = (pid: number): Promise<boolean> =>
    waitFor('its end', () =>
      readFile(`/proc/${pid}/stat`).then(
        () => false,
        () => true,
      ),
    );
  /** Where the container's own processes are once it was opened up. */
  const own = trees[0].version === 1 ? '' : 'bunkhouse-main';

  it('puts each with its children into its own, with its limits, and nobody else', async () => {
    const one = await sandbox.run('sh', ['-c', 'sleep 600 & sleep 601 & wait']);
    const two = await sandbox.run('sleep', ['600']);
    const children = await waitFor('the children', async () => {
      const pids = await readFile(`/proc/${one}/task/${one}/children`, 'utf8');
      return pids.trim().split(' ').length === 2 && pids.trim().split(' ').map(Number);
    });
    const tenants = [tenant(0, one), tenant(1, two)];
    expect(await run(tenants)).toEqual(tenants);
    for (const pid of [one, ...children]) expect(await sandbox.places(pid)).toEqual(everywhere('slot-0'));
    expect(await sandbox.places(two)).toEqual(everywhere('slot-1'));
    expect(await sandbox.places(sandbox.pid)).toEqual(everywhere(own));
    for (const tree of trees) {
      // The last word on each file is what must be in it.
      for (const { file, value, optional } of new Map(
        settingsOf(tree, limits).map((one) => [one.file, one]),
      ).values()) {
        const read = await readFile(join(sandbox.folder(tree, 'slot-0'), file), 'utf8').catch(() => null);
        if (read !== null || !optional) expect(`${file}=${read?.trim()}`).toBe(`${file}=${value}`);
      }
    }
  });

  it('again changes nothing, finds what came in from elsewhere, and takes new limits', async () => {
    const main = await sandbox.run('sleep', ['600']);
    await run([tenant(0, main)]);
    const late = await sandbox.run('sleep', ['600'], UID);
    const looser = { ...tenant(0, main), limits: aTemplate().limits };
    expect(await run([looser])).toEqual([looser]);
    expect(await sandbox.places(main)).toEqual(everywhere('slot-0'));
    expect(await sandbox.places(late)).toEqual(everywhere('slot-0'));
    const pids = trees.find(({ controllers }) => controllers.includes('pids'));
    if (pids === undefined) return;
    expect((await readFile(join(sandbox.folder(pids, 'slot-0'), 'pids.max'), 'utf8')).trim()).toBe('max');
  });

  it.runIf(memory !== undefined)('lowers no limit below what a living bot holds: its next start gets it', async () => {
    const folder = sandbox.folder(memory as Tree, 'slot-0');
    const file = memory?.version === 1 ? 'memory.limit_in_bytes' : 'memory.max';
    const hog = "import time; time.sleep(0.3); x = b'x' * (100 << 20); time.sleep(600)";
    const main = await sandbox.run('python3', ['-c', hog]);
    const loose = { ...tenant(0, main), limits: { ...limits, pssBytes: 400 << 20 } };
    const tight = { ...tenant(0, main), limits: { ...limits, pssBytes: 40 << 20 } };
    await run([loose]);
    const usage = memoryUsage(memory as Tree);
    await waitFor('it holds much', async () => Number(await readFile(join(folder, usage), 'utf8')) > 100 << 20);
    await run([tight]);
    expect((await readFile(join(folder, file), 'utf8')).trim()).toBe(String(500 << 20));
    expect(await sandbox.places(main)).toEqual(everywhere('slot-0'));
    process.kill(main, 'SIGKILL');
    await ended(main);
    const next = await sandbox.run('sleep', ['600']);
    await run([{ ...tight, pid: next }]);
    expect((await readFile(join(folder, file), 'utf8')).trim()).toBe(String(50 << 20));
  });

  it('corrects one that is in the place of another', async () => {
    const main = await sandbox.run('sleep', ['600']);
    await run([tenant(0, main)]);
    await run([tenant(1, main)]);
    expect(await sandbox.places(main)).toEqual(everywhere('slot-1'));
  });

  it('leaves a process alone that started after the container spoke: it only has the number', async () => {
    const toldAt = ticksSinceBoot();
    await waitFor('the clock goes on', () => ticksSinceBoot() > toldAt + 2);
    const later = await sandbox.run('sleep', ['600']);
    const housing = { id: sandbox.id, pid: sandbox.pid };
    expect(await confine(trees, housing, { tenants: [tenant(0, later)], toldAt })).toEqual([]);
    expect(await sandbox.places(later)).toEqual(everywhere(own));
  });

  it('does not find a bot that has ended', async () => {
    const main = await sandbox.run('true', []);
    await ended(main);
    expect(await run([tenant(0, main)])).toEqual([]);
  });

  it('touches nothing when the container is not proven to be there', async () => {
    const main = await sandbox.run('sleep', ['600']);
    const reason = /must run on the machine of the Docker engine/;
    await expect(run([tenant(0, main)], { id: '0'.repeat(64), pid: sandbox.pid })).rejects.toThrow(reason);
    await expect(run([tenant(0, main)], { id: sandbox.id, pid: process.pid })).rejects.toThrow(reason);
    await expect(run([tenant(0, main)], { id: sandbox.id, pid: 2 ** 30 })).rejects.toThrow(reason);
    expect(await sandbox.places(main)).toEqual(everywhere(''));
  });
});
