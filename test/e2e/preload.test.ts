import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parsePreloadList } from '../../lib/config/preload-list.ts';
import { type Ran, run, start } from '../cli/bunkhouse.ts';
import { createSandbox, type Sandbox } from './support.ts';

/** The real command line, supervisor and bots: a recorded list is what a bot imported, and no bot is left behind. */

const TEMPLATE = `
name: importer
command: [python3, -u, bot.py]
env: { PORT: "{{port}}" }
requiredFiles: [bot.py]
readiness: { kind: process, startupSeconds: 5 }
stop: { signal: SIGTERM, graceSeconds: 1 }
backoff: { minSeconds: 0.2, maxSeconds: 1, healthySeconds: 30 }
isolation: ISOLATION
`;
/** Imports something at once, something by name after half a second, something that is not there, and a file of its own. */
const BOT = `
import importlib, time, colorsys
import helper
try:
    import no_such_module
except ImportError:
    pass
print('it runs', end='')
time.sleep(0.5)
importlib.import_module('wave')
while True:
    time.sleep(1)
`;

let sandbox: Sandbox;
let env: Record<string, string>;
let files: readonly string[];

beforeAll(async () => {
  const templates = {
    'importer.yaml': TEMPLATE.replace('ISOLATION', 'template'),
    'apart.yaml': TEMPLATE.replace('ISOLATION', 'owner').replace('importer', 'apart'),
  };
  sandbox = await createSandbox({ basePort: 25_600, templates });
  const client = await sandbox.start();
  env = { BUNKHOUSE_URL: sandbox.url, BUNKHOUSE_TOKEN: client.token };
  await writeFile(join(sandbox.directory, 'bot.py'), BOT);
  await writeFile(join(sandbox.directory, 'helper.py'), 'import html.entities\n');
  files = ['bot.py', 'helper.py'].flatMap((name) => ['--file', `${name}=${join(sandbox.directory, name)}`]);
});
afterAll(() => sandbox?.dispose());

const cli = (...args: string[]): Promise<Ran> => run(args, env);
const record = (...args: string[]): Promise<Ran> => cli('preload', 'record', 'importer', '--seconds', '2', ...args);
const list = (name: string): string => join(sandbox.directory, name);

async function nothingIsLeft(): Promise<void> {
  expect((await sandbox.client.bots()).map(({ instanceId }) => instanceId)).toEqual([]);
  expect(sandbox.processes().filter(({ directory }) => directory.includes('/bots/'))).toEqual([]);
}

describe('preload record', () => {
  it('writes what the bot imported, of itself and by name, and nothing that was not or is its own', async () => {
    const { code, out, err } = await record(...files, '--out', list('importer.txt'));
    expect({ code, err }).toEqual({ code: 0, err: expect.stringMatching(/preload-\w+ is deleted; its archive stays/) });
    expect(out).toMatch(/^\d+ modules in .*importer\.txt\n$/);
    const text = await readFile(list('importer.txt'), 'utf8');
    const { modules, wrong } = parsePreloadList(text);
    expect(wrong).toEqual([]);
    expect(text).toMatch(
      /template importer.*\n# Recorded on \d{4}-\d\d-\d\d with Python 3\.\d+\.\d+\S*: \d+ modules\.\n/,
    );
    expect(modules).toEqual(expect.arrayContaining(['colorsys', 'html.entities', 'wave']));
    expect(modules.filter((name) => ['helper', 'no_such_module', 'site', '__main__'].includes(name))).toEqual([]);
    expect((await readdir(sandbox.directory)).filter((name) => name.endsWith('.new'))).toEqual([]);
    await nothingIsLeft();
  });

  it('prints the list, or what programs want to know, when no file is named', async () => {
    const { modules } = parsePreloadList((await record(...files)).out);
    const json = JSON.parse((await record(...files, '--json')).out) as object;
    expect(json).toMatchObject({ template: 'importer', python: expect.stringMatching(/^3\./), modules });
  });

  it('deletes the bot when it does not stay up, and shows what it said', async () => {
    await writeFile(list('broken.py'), 'import colorsys\nprint("I am\\a broken")\nraise SystemExit(3)\n');
    const { code, out, err } = await record('--file', `bot.py=${list('broken.py')}`);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain('does not stay up');
    expect(err).toMatch(/Its last output:\n {4}I am {2}broken\n$/);
    expect(err).not.toContain("import 'colorsys'");
    await nothingIsLeft();
  });

  it('deletes the bot when it is interrupted', async () => {
    const running = start(['preload', 'record', 'importer', '--seconds', '600', ...files], env);
    const [bot] = await sandbox.until('the bot runs', async () => {
      const bots = await sandbox.client.bots();
      return bots.length === 1 && bots[0]?.state === 'running' && bots;
    });
    running.kill('SIGINT');
    const { code, out, err } = await running.ran;
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain(`${bot?.instanceId} is deleted`);
    expect(err).toMatch(/^bunkhouse: Interrupted\.$/m);
    await nothingIsLeft();
  });

  it('says what a refused bot lacks', async () => {
    expect(await record()).toMatchObject({ code: 2, err: expect.stringContaining('needs the file bot.py') });
    const unknown = await cli('preload', 'record', 'none-such');
    expect(unknown).toMatchObject({ code: 2, out: '' });
    await nothingIsLeft();
  });
});

describe('preload check', () => {
  const check = (...args: string[]): Promise<Ran> =>
    cli('preload', 'check', 'importer', '--seconds', '2', ...files, '--list', list('mine.txt'), ...args);

  it('is content with a list just recorded', async () => {
    await record(...files, '--out', list('mine.txt'));
    const { code, out } = await check();
    expect({ code, out }).toEqual({
      code: 0,
      out: expect.stringContaining('is what a bot of template importer imports'),
    });
  });

  it('tells with 1 what is missing and what nobody imports', async () => {
    const text = await readFile(list('mine.txt'), 'utf8');
    await writeFile(list('mine.txt'), `${text.replace(/^wave\n/m, '')}xdrlib\n`);
    const { code, out } = await check();
    expect(code).toBe(1);
    expect(out).toContain(`imported, not in ${list('mine.txt')} (1):\n  wave\n`);
    expect(out).toContain(`in ${list('mine.txt')}, not imported (1):\n  xdrlib\n`);
    const json = await check('--json');
    expect(json.code).toBe(1);
    expect(JSON.parse(json.out)).toMatchObject({ stale: true, missing: ['wave'], unused: ['xdrlib'] });
  });
});

describe('bench memory', () => {
  const bench = (...args: string[]): Promise<Ran> =>
    cli('bench', 'memory', ...args, '--seconds', '3', ...files, '--json');

  it('measures one bot alone, against those that share a container', async () => {
    const content = { 'bot.py': BOT, 'helper.py': '' };
    for (const instanceId of ['one', 'two']) {
      await sandbox.client.create({ instanceId, template: 'importer', files: content } as { instanceId: string });
    }
    for (const instanceId of ['one', 'two']) await sandbox.untilState(instanceId, 'running');
    const { code, out } = await bench('importer');
    expect(code).toBe(0);
    const { alone, now, apart } = JSON.parse(out) as Record<'alone' | 'now' | 'apart', Record<string, number>>;
    expect(alone?.botPssBytes).toBeGreaterThan(2 ** 20);
    expect(alone?.pssBytes).toBeGreaterThan(alone?.botPssBytes ?? 0);
    expect(now).toMatchObject({ containers: 1, bots: 2 });
    expect(apart?.pssBytes).toBe(2 * (alone?.pssBytes ?? 0));
    expect((await sandbox.client.containers()).map(({ group, botsCount }) => [group, botsCount]).sort()).toEqual([
      ['bench-memory', 0],
      ['default', 2],
    ]);
  });

  it('finds a container for it also where owners are kept apart', async () => {
    const { code, out } = await bench('apart');
    expect({ code, found: JSON.parse(out) }).toMatchObject({
      code: 0,
      found: { template: 'apart', now: { containers: 0, bots: 0, pssBytes: 0 } },
    });
  });
});
