import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parsePreloadList } from '../../lib/config/preload-list.ts';
import { loadTemplate, loadTemplates, parseTemplate } from '../../lib/config/template.ts';
import { BunkhouseError } from '../../lib/domain/errors.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bunkhouse-prefork-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

function write(name: string, content: string | Uint8Array): string {
  const file = join(folder, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

/** A template whose prefork has these lines; they begin at line 5. */
const writeTemplate = (...lines: string[]): string =>
  write('x.yaml', ['name: a', 'command: [run]', 'prefork:', '  entry: a.main:main', ...lines].join('\n'));

async function problemsOf(file: string): Promise<string[]> {
  const error = await loadTemplate(file).then(
    () => new Error('it was accepted'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof BunkhouseError) || error.code !== 'INVALID') throw error;
  return error.message.split('\n').map((line) => line.slice(folder.length + 1));
}

describe('prefork of a template', () => {
  it('needs an entry; all else has a default', async () => {
    expect((await loadTemplate(writeTemplate())).prefork).toEqual({
      entry: 'a.main:main',
      python: 'python3',
      preload: [],
      warmup: null,
      env: {},
      merge: false,
      immortal: true,
    });
  });

  it('takes a list of modules, and switches in words', async () => {
    const file = writeTemplate(
      '  preload: [json, a.b_c]',
      '  python: /opt/a/bin/python3',
      '  merge: on',
      '  immortal: off',
      '  env: { OPENBLAS_NUM_THREADS: "1" }',
    );
    expect((await loadTemplate(file)).prefork).toMatchObject({
      preload: ['json', 'a.b_c'],
      python: '/opt/a/bin/python3',
      merge: true,
      immortal: false,
      env: { OPENBLAS_NUM_THREADS: '1' },
    });
  });

  it('takes list and warmup from files beside the template, whose content decides on the version', async () => {
    const file = writeTemplate('  preloadFrom: lists/mine.txt', '  warmup: warm.py');
    write('lists/mine.txt', '\ufeff# by hand\r\njson\r\n\r\n  a.b # why\r\n');
    write('warm.py', 'def warmup():\n    pass\n');
    const first = await loadTemplate(file);
    expect(first.prefork).toMatchObject({ preload: ['json', 'a.b'], warmup: 'def warmup():\n    pass\n' });
    write('lists/mine.txt', 'json\na.b\n');
    expect((await loadTemplate(file)).version).toBe(first.version);
    write('lists/mine.txt', 'a.b\njson\n');
    const reordered = await loadTemplate(file);
    expect(reordered.version).not.toBe(first.version);
    write('warm.py', 'def warmup():\n    return []\n');
    expect((await loadTemplate(file)).version).not.toBe(reordered.version);
    const inline = writeTemplate('  preload: [a.b, json]');
    expect((await loadTemplate(inline)).prefork).toEqual({ ...reordered.prefork, warmup: null });
  });

  it('is found by a folder of templates, in which lists and sources are no templates', async () => {
    writeTemplate('  preloadFrom: mine.txt', '  warmup: warm.py');
    write('mine.txt', 'json\n');
    write('warm.py', 'def warmup(): pass\n');
    expect((await loadTemplates([folder])).get('a')?.prefork?.preload).toEqual(['json']);
    rmSync(join(folder, 'mine.txt'));
    await expect(loadTemplates([folder])).rejects.toThrow(`${folder}/x.yaml:5: prefork.preloadFrom names mine.txt`);
  });

  it('takes given files for a text without a folder, and has none otherwise', () => {
    const text = 'name: a\ncommand: [run]\nprefork: { entry: "a:b", preloadFrom: l.txt }\n';
    const files = new Map([['l.txt', { text: 'json' }]]);
    expect(parseTemplate(text, 'x.yaml', files).prefork?.preload).toEqual(['json']);
    expect(() => parseTemplate(text, 'x.yaml')).toThrow(
      'x.yaml:3: prefork.preloadFrom names l.txt, which was not read',
    );
  });

  it.each([
    ['a list twice', ['  preload: [json]', '  preloadFrom: l.txt'], ':6: prefork.preloadFrom must not stand beside'],
    ['a misspelt key', ['  preloads: [json]'], ':5: prefork.preloads is no key of a template'],
    ['a bad module', ['  preload:', '    - json', '    - a-b'], ':7: prefork.preload[1] must be the dotted name'],
    ['a file elsewhere', ['  preloadFrom: ../l.txt'], ':5: prefork.preloadFrom must be a relative path'],
    ['an absolute file', ['  warmup: /etc/passwd'], ':5: prefork.warmup must be a relative path'],
    [
      'a missing list',
      ['  preloadFrom: l.txt'],
      ':5: prefork.preloadFrom names l.txt, which is not beside the template',
    ],
    ['a missing warmup', ['  warmup: w.py'], ':5: prefork.warmup names w.py, which is not beside the template'],
    ['a folder for a list', ['  preloadFrom: sub'], ':5: prefork.preloadFrom names sub, which cannot be read: EISDIR'],
    ['true for on', ['  merge: true'], ':5: prefork.merge is not allowed: expected one of "on"|"off"'],
    ['false for off', ['  immortal: false'], ':5: prefork.immortal is not allowed: expected one of "on"|"off"'],
    ['a placeholder in env', ['  env:', '    A: "{{id}}"'], ':6: prefork.env.A is not filled in for each bot'],
    ['a bad variable', ['  env:', '    A-B: x'], ':6: prefork.env.A-B must be the name of a variable'],
    ['a program with arguments', ['  python: python3 -O'], ':5: prefork.python must be a program without blanks'],
  ])('with %s is refused, with the line and what is allowed', async (_, lines, problem) => {
    write('sub/some.txt', '');
    const [first, ...others] = await problemsOf(writeTemplate(...lines));
    expect(first).toContain(`x.yaml${problem}`);
    expect(others).toEqual([]);
  });

  it('without an entry that can be called is refused', async () => {
    for (const entry of ['main', 'a:', ':b', 'a b:c', 'a:b()']) {
      const file = write('x.yaml', `name: a\ncommand: [run]\nprefork:\n  entry: "${entry}"\n`);
      expect(await problemsOf(file)).toEqual(['x.yaml:4: prefork.entry must be module:function']);
    }
  });

  it('is told where in the list a line is no module', async () => {
    write('l.txt', `# head\njson\nimport os\n\n${'no module\n'.repeat(9)}`);
    const found = await problemsOf(writeTemplate('  preloadFrom: l.txt'));
    expect(found).toHaveLength(5);
    expect(found[0]).toBe(
      'x.yaml:5: prefork.preloadFrom names l.txt, whose line 3 must be the dotted name of a Python module, not "import os"',
    );
    expect(found[1]).toContain('whose line 5 ');
  });

  it('with a list that is too long, a warmup that is too large or no text is refused', async () => {
    write('l.txt', 'json\n'.repeat(10_000));
    write('w.py', '#'.repeat(65_536));
    const file = writeTemplate('  preloadFrom: l.txt', '  warmup: w.py');
    expect((await loadTemplate(file)).prefork?.preload).toHaveLength(10_000);
    write('l.txt', 'json\n'.repeat(10_001));
    write('w.py', `${'#'.repeat(65_535)}é`);
    expect(await problemsOf(file)).toEqual([
      'x.yaml:5: prefork.preloadFrom names l.txt, which lists 10001 modules; at most 10000',
      'x.yaml:6: prefork.warmup names w.py, which has 65537 bytes; at most 65536',
    ]);
    write('l.txt', Uint8Array.of(0xff, 0xfe, 0x00));
    write('w.py', 'a\0b');
    expect(await problemsOf(file)).toEqual([
      'x.yaml:5: prefork.preloadFrom names l.txt, which is not text in UTF-8',
      'x.yaml:6: prefork.warmup names w.py, which must not hold a NUL character',
    ]);
    const inline = writeTemplate(`  preload: [${'json, '.repeat(10_001)}]`);
    expect(await problemsOf(inline)).toEqual(['x.yaml:5: prefork.preload must hold at most 10000 modules']);
  });
});

describe('limits of a template', () => {
  it('are given as sizes, and cpuWeight as a number', () => {
    const text = 'name: a\ncommand: [run]\nlimits: { pss: 1GiB, disk: 1MiB, cpuWeight: 50 }\n';
    expect(parseTemplate(text, 'x.yaml').limits).toMatchObject({
      memoryBytes: null,
      pssBytes: 2 ** 30,
      diskBytes: 2 ** 20,
      cpuWeight: 50,
    });
  });

  it.each([
    ['pss: 15MiB', 'limits.pss must be 16MiB or more'],
    ['disk: 1000KiB', 'limits.disk must be 1MiB or more'],
    ['pss: 1G', 'limits.pss must be a size such as'],
    ['cpuWeight: 0', 'limits.cpuWeight is too small: expected number to be >=1'],
    ['cpuWeight: 10001', 'limits.cpuWeight is too big: expected number to be <=10000'],
    ['cpuWeight: null', 'limits.cpuWeight must be'],
  ])('%s is refused', (limit, problem) => {
    const text = `name: a\ncommand: [run]\nlimits: { ${limit} }\n`;
    expect(() => parseTemplate(text, 'x.yaml')).toThrow(`x.yaml:3: ${problem}`);
  });
});

describe('a preload list', () => {
  it('is one module a line, with comments and blank lines', () => {
    expect(parsePreloadList('# all\n\na\n  b.c_d  # two\n#e\n_f.__g__\n')).toEqual({
      modules: ['a', 'b.c_d', '_f.__g__'],
      wrong: [],
    });
  });

  it.each(['a.', '.a', 'a..b', '1a', 'a b', 'a,b', 'a/b', 'é'])('does not take %s for a module', (text) => {
    expect(parsePreloadList(`json\n${text}`)).toEqual({ modules: ['json'], wrong: [{ line: 2, text }] });
  });
});
