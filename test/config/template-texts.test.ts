import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadTemplate } from '../../lib/config/template.ts';
import { messageOf } from '../../lib/domain/errors.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bunkhouse-texts-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

function write(name: string, content: string | Uint8Array): string {
  const file = join(folder, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

const template = (...lines: string[]): string =>
  write('x.yaml', ['name: a', 'command: [run]', 'secrets: { db: {} }', ...lines].join('\n'));

async function problemsOf(file: string): Promise<string[]> {
  const message = await loadTemplate(file).then(() => 'it was accepted', messageOf);
  return message.split('\n').map((line) => line.replace(`${folder}/`, ''));
}

describe('texts beside a template', () => {
  it('are the content of files and the input of reset steps', async () => {
    write('a/run.php', '<?php // {{id}}\n');
    write('a/reset.sql', "ALTER USER u IDENTIFIED BY '{{secret.db}}';");
    const file = template(
      'files: [{ path: run.php, textFrom: a/run.php }]',
      'lease: { reset: { verify: [{ kind: exec, command: [sql], stdinFrom: a/reset.sql }] } }',
    );
    expect(await loadTemplate(file)).toMatchObject({
      files: [{ path: 'run.php', content: { text: '<?php // {{id}}\n' } }],
      lease: { reset: { verify: [{ stdin: "ALTER USER u IDENTIFIED BY '{{secret.db}}';" }] } },
    });
  });

  it('may be several, one after the other', async () => {
    write('one', 'first {{id}}\n');
    write('two', 'second\n');
    const file = template('files: [{ path: t, textFrom: [one, two, one] }]');
    expect((await loadTemplate(file)).files[0]?.content).toEqual({ text: 'first {{id}}\nsecond\nfirst {{id}}\n' });
  });

  it('belong to its version', async () => {
    write('t', 'one');
    const file = template('files: [{ path: t, textFrom: t }]');
    const { version } = await loadTemplate(file);
    write('t', 'two');
    expect((await loadTemplate(file)).version).not.toBe(version);
  });

  it('are not looked for where anything may stand', async () => {
    const file = template('files: [{ path: t, json: { textFrom: no-file } }]', 'env: { stdinFrom: no-file }');
    expect((await loadTemplate(file)).files[0]?.content).toEqual({ json: { textFrom: 'no-file' } });
  });

  it.each([
    ['of a file that is not there', '{ path: t, textFrom: no }', 'names no, which is not beside the template'],
    ['beside a text', '{ path: t, textFrom: t, text: x }', 'must not stand beside text; keep one of the two'],
    ['outside of its folder', '{ path: t, textFrom: ../t }', 'must name a file beside the template'],
    ['among several that is no name', '{ path: t, textFrom: [t, 1] }', 'must name a file beside the template'],
    ['of none', '{ path: t, textFrom: [] }', 'must name a file beside the template'],
    ['that is no name', '{ path: t, textFrom: 1 }', 'must name a file beside the template'],
  ])('are refused: a name %s', async (_, entry, says) => {
    write('t', 'x');
    expect(await problemsOf(template(`files: [${entry}]`))).toEqual([
      expect.stringContaining(`x.yaml:4: files[0].textFrom ${says}`),
    ]);
  });

  it('are refused with a placeholder that nobody knows', async () => {
    write('t', 'a {{secret.none}} b');
    expect(await problemsOf(template('files: [{ path: t, textFrom: t }]'))).toEqual([
      'x.yaml:4: files[0].text holds {{secret.none}}, but there is no secret none; declare it under secrets',
    ]);
  });

  it('are refused when they are no text', async () => {
    write('t', new Uint8Array([0xff, 0xfe]));
    expect(await problemsOf(template('files: [{ path: t, textFrom: t }]'))).toEqual([
      'x.yaml:4: files[0].textFrom names t, which is not text in UTF-8',
    ]);
  });
});
