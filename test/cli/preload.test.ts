import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Imports, parseImports, RECORDING_ENV } from '../../lib/cli/preload/imports.ts';
import { compare, renderList } from '../../lib/cli/preload/list.ts';
import { parsePreloadList } from '../../lib/config/preload-list.ts';

const BEGIN = "import _frozen_importlib # frozen\nimport 'zipimport' # <class '_frozen_importlib.FrozenImporter'>\n";
const SITE = "import 'site' # <class '_frozen_importlib.FrozenImporter'>\n";
const BANNER = 'Python 3.12.1 (main, May  9 2026, 07:36:11) [GCC 12.2.0] on linux\n';
const START = BEGIN + SITE + BANNER;
const line = (name: string, loader = 'SourceFileLoader'): string =>
  `import '${name}' # <_frozen_importlib_external.${loader} object at 0x7fe9dfcf9eb0>\n`;

const modulesOf = (log: string): readonly string[] | undefined => parseImports(log, 'me')?.modules;

describe('imports of a bot', () => {
  it('are the modules after those of the interpreter itself, in their order and once', () => {
    const found = parseImports(START + line('b.c') + line('b') + line('b.c') + line('zipimport'), 'me');
    expect(found?.python).toBe('3.12.1');
    expect(found?.modules).toEqual(['b.c', 'b']);
    expect([...(found?.startup ?? [])]).toEqual(['zipimport', 'site']);
  });

  it('are found among other output', () => {
    const output = `${line('a')}2026-11-21 - I - import time: 12 | 13 | no.module\nno line break${line('b')}`;
    const mixed = `import 'c' # <class 'x'>import 'd' # <class 'y'>\n\n`;
    expect(modulesOf(`${START}# trying /usr/lib/e.py\n${output}${mixed}import 'broken\nimport f\n`)).toEqual([
      'a',
      'b',
      'c',
      'd',
    ]);
  });

  it('are not hidden by the start of another interpreter among them', () => {
    expect(modulesOf(START + line('a') + BEGIN + line('b') + SITE + BANNER + line('c'))).toEqual(['a', 'b', 'c']);
  });

  it('leave out programs, and names that cannot be imported by a list', () => {
    expect(modulesOf(START + line('__main__') + line('__mp_main__') + line('a-b') + line('é') + line('a'))).toEqual([
      'a',
    ]);
  });

  it('are not known without the start of a Python', () => {
    expect(parseImports('', 'me')).toBeNull();
    expect(parseImports(line('a'), 'me')).toBeNull();
    expect(parseImports(BEGIN + line('a'), 'me')).toMatchObject({ python: null, modules: ['zipimport', 'a'] });
  });
});

describe('imports of a real Python program', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bh-imports-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function record(files: Readonly<Record<string, string>>): Promise<Imports> {
    const bot = join(folder, 'bots/me');
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(bot, path)), { recursive: true });
      await writeFile(join(bot, path), text);
    }
    const env = { PATH: process.env.PATH ?? '', ...RECORDING_ENV };
    const { stdout, stderr } = await promisify(execFile)('python3', ['-u', 'bot.py'], { cwd: bot, env });
    await writeFile(join(bot, 'all.txt'), stdout);
    const found = parseImports(stderr, 'me');
    if (found === null) throw new Error(stderr);
    expect(stdout.split('\n')).toEqual(expect.arrayContaining([...found.modules]));
    return found;
  }

  it('are those that could be imported, also by importlib, and none of the files it brought', async () => {
    const found = await record({
      'bot.py': `
import importlib, sys
import helper, space.inner, package, sub.deep
importlib.import_module('colorsys')
try:
    import there_is_no_such_module
except ImportError:
    pass
print(*sys.modules, sep='\\n')`,
      'helper.py': 'import wave\n',
      'space/inner.py': '',
      'package/__init__.py': 'from . import part\n',
      'package/part.py': '',
      'sub/deep.py': 'import sys; sys.path.insert(0, "sub"); import neighbour\n',
      'sub/neighbour.py': '',
    });
    expect(found.python).toMatch(/^3\.\d+\.\d+/);
    expect(found.modules).toEqual(expect.arrayContaining(['colorsys', 'wave']));
    const own = ['helper', 'space', 'space.inner', 'package', 'package.part', 'sub', 'sub.deep', 'neighbour'];
    const wrong = [...own, 'there_is_no_such_module', '__main__', 'site', 'os', 'zipimport'];
    expect(found.modules.filter((name) => wrong.includes(name))).toEqual([]);
    expect([...found.startup]).toEqual(expect.arrayContaining(['site', 'os', 'zipimport']));
    // Again from what the first run compiled.
    expect((await record({})).modules).toEqual(found.modules);
  });

  it('that have the name of a folder of the bot are still theirs', async () => {
    const found = await record({ 'bot.py': 'import sys, html\nprint(*sys.modules, sep="\\n")', 'html/notes.txt': '' });
    expect(found.modules).toContain('html');
  });
});

describe('a recorded list', () => {
  const imports = (...modules: string[]): Imports => ({ python: '3.13.0', modules, startup: new Set(['site', 'os']) });

  it('says where it comes from and is read back as it was', () => {
    const text = renderList(imports('b.c', 'b'), { template: 'freqtrade', on: '2026-11-21' });
    expect(text).toContain('template freqtrade');
    expect(text).toContain('Recorded on 2026-11-21 with Python 3.13.0: 2 modules.');
    expect(parsePreloadList(text)).toEqual({ modules: ['b.c', 'b'], wrong: [] });
  });

  it('is stale when modules are missing or no longer imported; what Python imports anyway does no harm', () => {
    expect(compare(imports('a', 'b'), ['b', 'a', 'os', 'a'])).toEqual({ missing: [], unused: [] });
    expect(compare(imports('a', 'b', 'c'), ['b', 'x', 'x'])).toEqual({ missing: ['a', 'c'], unused: ['x'] });
  });
});
