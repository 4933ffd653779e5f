import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { bar } from '../../lib/cli/text.ts';
import type { ContainerView, PoolStatus } from '../../lib/services/pool-api.ts';
import type { UpgradeView } from '../../lib/services/upgrade-api.ts';
import { type Ran, run, type Supervisor, startSupervisor } from './bunkhouse.ts';

// Each command is a process that starts from nothing, many of them on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let supervisor: Supervisor;
const cli = (...args: string[]): Promise<Ran> => run(args, supervisor.env);

async function json<T>(...args: string[]): Promise<T> {
  const { code, out } = await cli(...args, '--json');
  expect(code).toBe(0);
  return JSON.parse(out) as T;
}

beforeAll(async () => {
  supervisor = await startSupervisor();
  for (const id of ['a', 'b', 'c']) await cli('bots', 'create', id, '--template', 'plain', '--wait', '20');
});

afterAll(async () => {
  const { code, err } = await supervisor.close();
  expect({ code, err }).toEqual({ code: 0, err: '' });
});

const containers = async (): Promise<readonly ContainerView[]> => (await json<PoolStatus>('pool', 'status')).pools;

describe('pool upgrade', () => {
  it('says beforehand what each bot needs', async () => {
    const { code, out } = await cli('pool', 'upgrade', 'plain', '--image', 'next', '--dry-run');
    expect(code).toBe(0);
    expect(out).toMatch(/^a +bunkhouse-plain-1 +move +image none becomes next$/m);
    expect(out).toContain('3 bots of plain, new containers of next: 3 need a new container. An');
    expect((await cli('pool', 'upgrade', 'plain', '--dry-run')).out).toMatch(
      /^a +bunkhouse-plain-1 +stays +nothing has changed$/m,
    );
    expect((await cli('pool', 'upgrade', '--status')).out).toBe('There was no upgrade yet.\n');
  });

  it('moves all, shows its progress, and ends with 0', async () => {
    const ran = await cli('pool', 'upgrade', 'plain', '--pace', '0', '--surge', '2', '--wait', '40');
    expect(ran).toMatchObject({ code: 0, err: expect.stringContaining('/3 moved') });
    expect(ran.out).toMatch(/^status +done$/m);
    expect(ran.out).toMatch(/^moved +3$/m);
    expect((await containers()).every(({ emptying }) => emptying === null || emptying === 'upgrade')).toBe(true);
    expect(await json<UpgradeView>('pool', 'upgrade', 'plain', '--status')).toMatchObject({ status: 'done', moved: 3 });
  });

  it('is paused, resumed and aborted by name, or as the only one', async () => {
    await cli('pool', 'upgrade', 'plain', '--pace', '3600', '--surge', '1');
    expect((await cli('pool', 'upgrade', '--pause')).out).toMatch(/^status +paused: --resume goes on/m);
    expect(await json('pool', 'upgrade', 'plain', '--resume')).toMatchObject({ status: 'running' });
    expect(await cli('pool', 'upgrade', 'plain', '--image', 'other')).toMatchObject({
      code: 5,
      err: expect.stringContaining('abort it first'),
    });
    const aborted = await cli('pool', 'upgrade', '--abort', '--wait', '40');
    expect(aborted).toMatchObject({ code: 1, out: expect.stringMatching(/^status +aborted$/m) });
    expect(await cli('pool', 'upgrade', '--pause')).toMatchObject({
      code: 2,
      err: expect.stringContaining('No upgrade'),
    });
    expect(await cli('pool', 'upgrade', 'plain', '--surge', 'many')).toMatchObject({ code: 2 });
    expect(await cli('pool', 'upgrade', 'plain', '--pause', '--abort')).toMatchObject({ code: 2 });
  });
});

describe('pool drain', () => {
  it('empties a container, shows it, and opens it again', async () => {
    const full = (await containers()).find(({ botsCount }) => botsCount > 0)?.id ?? '';
    const drained = await cli('pool', 'drain', full, '--surge', '3', '--wait', '40');
    expect(drained).toMatchObject({ code: 0, out: `${full}: closed and empty\n` });
    expect((await cli('pool', 'drain')).out).toBe(`${full}: closed and empty\n`);
    expect((await cli('pool', 'status')).out).toMatch(new RegExp(`^${full} .* closed: drain$`, 'm'));
    expect((await cli('pool', 'drain', full, '--undo')).out).toBe(`${full}: open\n`);
    expect((await cli('pool', 'drain')).out).toBe('No container is drained.\n');
    expect(await cli('pool', 'drain', 'nothing')).toMatchObject({ code: 3 });
  });
});

it('draws how far it is', () => {
  expect([bar(0, 4), bar(1, 4), bar(4, 4), bar(0, 0)]).toEqual([
    `[${'-'.repeat(20)}]`,
    `[#####${'-'.repeat(15)}]`,
    `[${'#'.repeat(20)}]`,
    `[${'#'.repeat(20)}]`,
  ]);
});
