import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FileSpec } from '../../lib/domain/agent.ts';
import type { BotRecord } from '../../lib/domain/bot.ts';
import type { ExecStep, Service, TemplateFile } from '../../lib/domain/template.ts';
import { renderSpec } from '../../lib/planner/render.ts';
import { type BotValues, renderText, toBase64, type Values } from '../../lib/planner/values.ts';
import { aBot, aContainer, aTemplate, inSlot } from './builders.ts';

const botValues: BotValues = {
  id: 'a',
  owner: 'alice',
  desired: 'running',
  host: '127.0.0.1',
  port: 9000,
  secrets: { password: 'p:w' },
};
const values: Values = {
  bot: botValues,
  directory: '/box',
  service: null,
};
const box = aContainer('bunkhouse-echo-1');
const bot = aBot('a', { placement: inSlot(box, 0), secrets: { password: 'p:w' } });

const decode = (file: FileSpec | undefined): string => Buffer.from(file?.data ?? '', 'base64').toString();

function render(files: readonly TemplateFile[], own: Record<string, string> = {}): readonly FileSpec[] {
  const record = { ...bot, files: own };
  return renderSpec(record, { container: box.name, slot: 0, port: 9000 }, aTemplate({ files }), {
    host: '127.0.0.1',
    directory: '/box',
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
    expect(renderText('{{owner}}', { ...values, bot: { ...botValues, owner: '{{secret.password}}' } })).toBe(
      '{{secret.password}}',
    );
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
      renderSpec(record, { container: box.name, slot: 0, port: 9000 }, template, {
        host: '0.0.0.0',
        directory: '/box',
        lease: null,
      }),
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
      renderSpec({ ...bot, ...record }, { container: '', slot: 0, port: 1 }, aTemplate(), {
        host: '',
        directory: '',
        lease: null,
      }).run,
    ).toBe(run);
  });
});

describe('services', () => {
  const step = (stdin: string): ExecStep => ({ kind: 'exec', command: ['sql'], stdin, timeoutSeconds: 30 });
  const database: Service = {
    command: ['db', '--data={{service.dir}}'],
    env: { SOCKET: '{{service.run}}/db.sock' },
    files: [{ path: 'db.cnf', mode: 0o600, when: 'always', content: { text: '{{service.run}}' } }],
    readiness: { kind: 'socket', path: '{{service.run}}/db.sock', startupSeconds: 60, watchdogSeconds: null },
    ...pick(aTemplate(), 'stop', 'backoff', 'limits'),
    provision: [step('CREATE {{id}} IDENTIFIED BY {{secret.password}}')],
    deprovision: [step('DROP {{id}}')],
    archive: [step('{{service.run}} of {{id}}')],
  };
  const template = aTemplate({ env: { SOCKET: '{{service.db.run}}/db.sock' }, services: { db: database } });
  const renderFor = (record: BotRecord) =>
    renderSpec(record, { container: box.name, slot: 0, port: 9000 }, template, {
      host: '127.0.0.1',
      directory: '/box',
      lease: null,
    });

  it('are told their places, and in their steps the bot', () => {
    const { services, env, secrets } = renderFor(bot);
    expect(env.SOCKET).toBe('/box/run/services/db/db.sock');
    expect(secrets).toEqual(['p:w']);
    expect(services).toMatchObject([
      {
        service: {
          name: 'db',
          command: ['db', '--data=/box/services/db'],
          env: { SOCKET: '/box/run/services/db/db.sock' },
          readiness: { kind: 'socket', path: '/box/run/services/db/db.sock' },
        },
        provision: [{ stdin: 'CREATE a IDENTIFIED BY p:w' }],
        deprovision: [{ stdin: 'DROP a' }],
        archive: [{ stdin: '/box/run/services/db of a' }],
      },
    ]);
    expect(decode(services[0]?.service.files[0])).toBe('/box/run/services/db');
  });

  it('are the same for all bots of a container', () => {
    const other = aBot('b', { placement: inSlot(box, 1), secrets: { password: 'other' } });
    expect(renderFor(other).services[0]?.service).toEqual(renderFor(bot).services[0]?.service);
  });

  it('know no bot by themselves', () => {
    const leaky = { ...template, services: { db: { ...database, env: { P: '{{secret.password}}' } } } };
    expect(() =>
      renderSpec(bot, { container: box.name, slot: 0, port: 9000 }, leaky, {
        host: '',
        directory: '/box',
        lease: null,
      }),
    ).toThrow(expect.objectContaining({ code: 'INVALID' }));
  });
});

function pick<T, K extends keyof T>(from: T, ...keys: readonly K[]): Pick<T, K> {
  return Object.fromEntries(keys.map((key) => [key, from[key]])) as Pick<T, K>;
}
