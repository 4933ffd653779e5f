import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { MigrationAnswer, MigrationOverview, MigrationView } from '../../lib/services/migration-api.ts';
import { type Deployment, writeDeployment } from '../fixtures/legacy/deployment.ts';
import { makeTempDir, removeDir } from '../support/temp-dir.ts';
import { type Ran, run, type Supervisor, startSupervisor } from './bunkhouse.ts';

// Each command is a process that starts from nothing, many of them on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/** Folders of old deployments whose containers are gone: all that is left of a machine that was restored from a backup. */
let base: string;
let supervisor: Supervisor;
let good: Deployment;
const cli = (...args: string[]): Promise<Ran> => run(['migrate', ...args], supervisor.env);

beforeAll(async () => {
  base = await makeTempDir();
  const write = (userId: string, instanceId: string, port: number) =>
    writeDeployment({ base, userId, instanceId, port, exchangeUrl: 'http://127.0.0.1:1/api/v3' });
  good = await write('Ann.1', 'Ann.Main', 8100);
  const broken = join((await write('Ann.1', 'ann.broken', 8101)).folder, 'config.json');
  await writeFile(broken, (await readFile(broken, 'utf8')).replace(',', ''));
  await rm(join((await write('bob', 'Bob.lost', 8102)).folder, 'user_data/strategies/BusyStrategy.py'));
  supervisor = await startSupervisor();
});

afterAll(async () => {
  await supervisor?.close();
  await removeDir(base);
});

describe('migrate', () => {
  it('finds nothing where there is nothing', async () => {
    expect(await cli()).toMatchObject({ code: 0, out: expect.stringContaining('Nothing to move was found.') });
    expect(await cli('--status')).toMatchObject({ code: 0, out: expect.stringContaining('No bot was moved yet.') });
  });

  it('as a dry run tells what it found, and what stands in the way', async () => {
    const { code, out } = await cli('--from', base);
    expect(code).toBe(0);
    expect(out).toMatch(/^Ann\.Main {2}\(can be moved\)$/m);
    expect(out).toMatch(/^ {2}owner +Ann\.1$/m);
    expect(out).toMatch(/^ {2}in the way: .*\(CONFIG_INVALID\)$/m);
    expect(out).toMatch(/^ {2}in the way: .*BusyStrategy.*\(CODE_MISSING\)$/m);
    expect(out).toMatch(/^1 of 3 bots can be moved\. This was a dry run: nothing was changed\.$/m);
    const one = await cli('--from', base, '--only', 'Bob.lost', '--json');
    const { candidates } = JSON.parse(one.out) as MigrationOverview;
    expect(candidates).toMatchObject([{ id: 'Bob.lost', owner: 'bob', ready: false }]);
  });

  it('moves what it can, says which it left, and is done in part; again there is nothing left to move', async () => {
    const moved = await cli('--execute', '--from', base, '--json');
    expect(moved.code).toBe(8);
    expect(moved.err).toMatch(/^✗ Bob\.lost: not touched: /m);
    expect(moved.err).toMatch(/^✓ Ann\.Main: moved, /m);
    const { migrations, refused } = JSON.parse(moved.out) as MigrationAnswer;
    expect(migrations).toMatchObject([{ id: 'Ann.Main', phase: 'done', owner: 'Ann.1', ranBefore: false }]);
    expect(refused.map(({ id }) => id).sort()).toEqual(['Bob.lost', 'ann.broken']);
    expect((await cli('--status')).out).toMatch(/^Ann\.Main +done .* when asked$/m);
    expect((await cli('--status', '--only', 'Ann.Main')).out).toMatch(/^phase +done, since /m);
    expect(await cli('--execute', '--from', base)).toMatchObject({ code: 1 });
    const bot = await run(['bots', 'show', 'Ann.Main'], supervisor.env);
    expect(bot.out).toMatch(/^owner +Ann\.1$/m);
  });

  it('goes back, moves again, and is finished for good; its files stay', async () => {
    const back = await cli('--rollback', 'Ann.Main');
    expect(back).toMatchObject({ code: 0, out: expect.stringMatching(/^phase +rolled-back, since /m) });
    expect(await run(['bots', 'show', 'Ann.Main'], supervisor.env)).toMatchObject({ code: 3 });
    expect(await cli('--rollback', 'Ann.Main')).toMatchObject({ code: 5 });
    const again = await cli('--execute', '--from', base, '--only', 'Ann.Main', '--keep-days', '7');
    expect(again).toMatchObject({ code: 0, out: expect.stringMatching(/^1 bot moved\.$/m) });
    expect((await cli('--status', '--only', 'Ann.Main')).out).toMatch(/^removed +20\d\d-/m);
    const finished = await cli('--finish', 'Ann.Main', '--json');
    expect(JSON.parse(finished.out) as MigrationView).toMatchObject({ id: 'Ann.Main', phase: 'finished' });
    expect(await readFile(join(good.folder, 'config.json'), 'utf8')).toContain('Ann.1');
  });

  it.each([
    { what: 'a bot nobody knows', args: ['--only', 'nobody'], code: 3 },
    { what: 'a bot to move that nobody knows', args: ['--execute', '--only', 'nobody'], code: 3 },
    { what: 'a way back nobody went', args: ['--rollback', 'nobody'], code: 3 },
    { what: 'the status of nobody', args: ['--status', '--only', 'nobody'], code: 3 },
    { what: 'a folder that is none', args: ['--from', '/nonexistent'], code: 2 },
    { what: 'two things at once', args: ['--execute', '--status'], code: 2 },
    { what: 'an option that does nothing in a dry run', args: ['--parallel', '2'], code: 2 },
    { what: 'an option of another way', args: ['--rollback', 'x', '--keep-days', '3'], code: 2 },
    { what: 'a number that is none', args: ['--execute', '--parallel', 'many'], code: 2 },
    { what: 'a bot that is no option', args: ['somebody'], code: 2 },
  ])('refuses $what with $code', async ({ args, code }) => {
    expect(await cli(...args)).toMatchObject({ code, out: '' });
  });
});
