import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FileSpec } from '../../lib/domain/agent.ts';
import type { TemplateFile } from '../../lib/domain/template.ts';
import { renderSpec, renderText, toBase64, type Values } from '../../lib/planner/render.ts';
import { aBot, aContainer, aTemplate, inSlot } from './builders.ts';

const values: Values = {
  id: 'a',
  owner: 'alice',
  desired: 'running',
  host: '127.0.0.1',
  port: 9000,
  secrets: { password: 'p:w' },
};
const box = aContainer('bunkhouse-echo-1');
const bot = aBot('a', { placement: inSlot(box, 0), secrets: { password: 'p:w' } });

const decode = (file: FileSpec | undefined): string => Buffer.from(file?.data ?? '', 'base64').toString();

function render(files: readonly TemplateFile[], own: Record<string, string> = {}): readonly FileSpec[] {
  const record = { ...bot, files: own };
  return renderSpec(record, { container: box.name, slot: 0, port: 9000 }, aTemplate({ files }), {
    host: '127.0.0.1',
    lease: null,
  }).files;
}

describe('placeholders', () => {
  it.each([
    { text: 'plain', want: 'plain' },
    { text: '{{id}}@{{host}}:{{ port }}', want: 'a@127.0.0.1:9000' },
    { text: '{{desired}} for {{owner}}', want: 'running for alice' },
    { text: '{{secret.password}}', want: 'p:w' },
    { text: 'Basic {{basic.bunkhouse.password}}', want: `Basic ${Buffer.from('bunkhouse:p:w').toString('base64')}` },
    { text: '{not one}', want: '{not one}' },
  ])('$text', ({ text, want }) => {
    expect(renderText(text, values)).toBe(want);
  });

  it.each(['{{home}}', '{{secret.nobody}}', '{{secret.toString}}', '{{id.x}}'])('%s is refused', (text) => {
    expect(() => renderText(text, values)).toThrow(expect.objectContaining({ code: 'INVALID' }));
  });

  it('are not looked for in what they stand for', () => {
    expect(renderText('{{owner}}', { ...values, owner: '{{secret.password}}' })).toBe('{{secret.password}}');
  });
});

describe('files', () => {
  it('keep the type of a value that is one placeholder', () => {
    const json = { port: '{{port}}', url: 'http://{{host}}:{{port}}', list: ['{{id}}', 1, null, true] };
    const [file] = render([{ path: 'overlay.json', mode: 0o600, when: 'always', content: { json } }]);
    expect(JSON.parse(decode(file))).toEqual({ port: 9000, url: 'http://127.0.0.1:9000', list: ['a', 1, null, true] });
  });

  it("come in an order that gives the owner's file the place of a seed, and the template the last word", () => {
    const seed: TemplateFile = { path: 'seed', mode: 0o600, when: 'absent', content: { text: 'seed' } };
    const overlay: TemplateFile = { path: 'overlay', mode: 0o600, when: 'always', content: { text: 'overlay' } };
    expect(render([overlay, seed]).map((file) => file.path)).toEqual(['seed', 'overlay']);
    const own = render([overlay, seed], { seed: toBase64('mine'), 'a.json': toBase64('{{not touched}}') });
    expect(own.map((file) => file.path)).toEqual(['seed', 'a.json', 'overlay']);
    expect(decode(own[0])).toBe('mine');
    expect(decode(own[1])).toBe('{{not touched}}');
  });

  it('are base64 of UTF-8, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(toBase64(text)).toBe(Buffer.from(text, 'utf8').toString('base64'));
      }),
    );
  });
});

describe('renderSpec', () => {
  it("puts template and record together, the bot's own last", () => {
    const template = aTemplate({
      env: { A: '1', B: '{{port}}' },
      limits: { memoryBytes: 1, pssBytes: null, diskBytes: null, cpuWeight: 100, openFiles: 2, processes: 3, nice: 0 },
    });
    const record = { ...bot, args: ['--name', '{{id}}'], env: { A: '2' }, limits: { openFiles: 9 } };
    expect(
      renderSpec(record, { container: box.name, slot: 0, port: 9000 }, template, { host: '0.0.0.0', lease: null }),
    ).toMatchObject({
      command: ['echo-bot', '--port', '9000', '--name', 'a'],
      env: { A: '2', B: '9000' },
      limits: { memoryBytes: 1, pssBytes: null, diskBytes: null, cpuWeight: 100, openFiles: 9, processes: 3, nice: 0 },
      host: '0.0.0.0',
      run: true,
    });
  });

  it.each([
    { record: { desired: 'stopped' as const }, run: false },
    { record: { desired: 'paused' as const }, run: true },
    { record: { deleting: true }, run: false },
  ])('runs the process or not: $record', ({ record, run }) => {
    expect(
      renderSpec({ ...bot, ...record }, { container: '', slot: 0, port: 1 }, aTemplate(), { host: '', lease: null })
        .run,
    ).toBe(run);
  });
});
