import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { loadTemplate, loadTemplates, parseTemplate } from '../../lib/config/template.ts';
import { type TemplateContent, templateSchema } from '../../lib/config/template-schema.ts';
import { BunkhouseError } from '../../lib/domain/errors.ts';

const MINIMAL = 'name: a\ncommand: [run]\n';

const FULL = `
name: trader
description: Trades
image: registry/trader:1
command: [trader, --port, "{{port}}", --dir=user_data]
env: { TOKEN: "{{secret.token}}", ID: "{{ id }} of {{owner}}" }
directories: [user_data, user_data/logs]
files:
  - path: overlay.json
    mode: "0640"
    json: { port: "{{port}}", deep: [{ password: "{{secret.token}}" }], off: null }
  - path: seed.txt
    when: absent
    text: "{{desired}} on {{host}}"
requiredFiles: [config.json]
secrets: { token: {}, short: { bytes: 16 } }
readiness: { kind: notify, startupSeconds: 90, watchdogSeconds: 120 }
checks:
  - kind: tcp
  - kind: http
    path: /api/v1/show_config
    headers: { Authorization: "Basic {{basic.bot.token}}" }
    json: { bot_name: "{{id}}" }
checkEverySeconds: 15
failureThreshold: 4
stop: { signal: SIGINT, graceSeconds: 20 }
backoff: { minSeconds: 2, maxSeconds: 30, healthySeconds: 10 }
limits: { memory: 1.5GiB, openFiles: 1024, processes: 64, nice: 5 }
control:
  pause: { path: /api/v1/pause }
  resume: { method: PUT, path: /api/v1/start, headers: { X: "1" } }
proxy: { headers: { Authorization: "Basic {{basic.bot.token}}" }, query: { token: "{{secret.short}}" } }
isolation: owner
capacity: 5
mode: legacy
legacy: { image: registry/alone:1 }
`;

const problemsOf = (yaml: string): string[] => {
  try {
    parseTemplate(yaml, 'x.yaml');
  } catch (error) {
    if (error instanceof BunkhouseError && error.code === 'INVALID') return error.message.split('\n');
    throw error;
  }
  throw new Error('it was accepted');
};

// That what the schema makes is a template is checked by the compiler in template.ts; here, that it knows every field.
const fromDomain = (content: TemplateContent): { [K in keyof z.output<typeof templateSchema>]: unknown } => content;

describe('template', () => {
  it('needs a name and a command; all else has a default', () => {
    expect(parseTemplate(MINIMAL, 'a.yaml')).toEqual({
      name: 'a',
      version: expect.stringMatching(/^[0-9a-f]{12}$/),
      description: '',
      holdBack: null,
      image: null,
      mode: 'pooled',
      legacy: { image: null },
      command: ['run'],
      env: {},
      directories: [],
      files: [],
      requiredFiles: [],
      secrets: {},
      readiness: { kind: 'process', startupSeconds: 60, watchdogSeconds: null },
      checks: [],
      checkEverySeconds: 30,
      failureThreshold: 3,
      notices: {},
      stop: { signal: 'SIGTERM', graceSeconds: 10 },
      backoff: { minSeconds: 1, maxSeconds: 60, healthySeconds: 60 },
      limits: {
        memoryBytes: null,
        pssBytes: null,
        diskBytes: null,
        cpuWeight: 100,
        openFiles: null,
        processes: null,
        nice: 0,
      },
      control: {},
      proxy: { public: false, headers: {}, query: {} },
      isolation: 'template',
      lease: null,
      backup: { schedule: null, keep: null },
      move: { deadlineSeconds: null, headers: {}, facts: {} },
      discovery: null,
      prefork: null,
      capacity: null,
      services: {},
    });
  });

  it('says what a bot has to show when it moves, and nothing of any other form', () => {
    const facts =
      '{ trades: { kind: sum, from: [{ path: /t, pointer: /total }, { path: /o, pointer: /*/id, take: count }] } }';
    const secrets = 'secrets: { token: {} }';
    const { move } = parseTemplate(
      `${MINIMAL}\n${secrets}\nmove: { deadlineSeconds: 90, headers: { Authorization: "{{basic.a.token}}" }, facts: ${facts} }`,
      'a.yaml',
    );
    expect(move).toEqual({
      deadlineSeconds: 90,
      headers: { Authorization: '{{basic.a.token}}' },
      facts: {
        trades: {
          kind: 'sum',
          from: [
            { path: '/t', pointer: '/total', take: 'value' },
            { path: '/o', pointer: '/*/id', take: 'count' },
          ],
        },
      },
    });
    const problems = (text: string): string => {
      try {
        parseTemplate(`${MINIMAL}\nmove: ${text}`, 'a.yaml');
        return '';
      } catch (error) {
        return (error as Error).message;
      }
    };
    expect(problems('{ facts: { t: { kind: least, from: [{ path: /t, pointer: /a }] } } }')).toContain(
      'move.facts.t.kind',
    );
    expect(problems('{ facts: { t: { kind: sum, from: [] } } }')).toContain('must hold at least one question');
    expect(problems('{ facts: { t: { kind: sum, from: [{ path: t, pointer: /a }] } } }')).toContain(
      'must begin with "/"',
    );
    expect(problems('{ facts: { t: { kind: sum, from: [{ path: /t, pointer: a }] } } }')).toContain(
      'must be a JSON pointer',
    );
    expect(problems('{ deadlineseconds: 3 }')).toContain('is no key of a template');
  });

  it('takes everything there is, in the units people write', () => {
    const { version: _, ...content } = parseTemplate(FULL, 'trader.yaml');
    expect(content).toMatchObject({
      mode: 'legacy',
      legacy: { image: 'registry/alone:1' },
      files: [
        {
          path: 'overlay.json',
          mode: 0o640,
          when: 'always',
          content: { json: { port: '{{port}}', deep: [{ password: '{{secret.token}}' }], off: null } },
        },
        { path: 'seed.txt', mode: 0o600, when: 'absent', content: { text: '{{desired}} on {{host}}' } },
      ],
      secrets: { token: { bytes: 32 }, short: { bytes: 16 } },
      checks: [
        { kind: 'tcp', timeoutSeconds: 5 },
        { kind: 'http', timeoutSeconds: 5, path: '/api/v1/show_config', status: 200, json: { bot_name: '{{id}}' } },
      ],
      limits: {
        memoryBytes: 1_610_612_736,
        pssBytes: null,
        diskBytes: null,
        cpuWeight: 100,
        openFiles: 1024,
        processes: 64,
        nice: 5,
      },
      control: { pause: { method: 'POST', path: '/api/v1/pause', headers: {} }, resume: { method: 'PUT' } },
      isolation: 'owner',
      lease: null,
      prefork: null,
      capacity: 5,
    });
    expect(Object.keys(fromDomain(content)).sort()).toEqual(Object.keys(templateSchema.shape).sort());
  });

  it('has a version that follows its content, not its layout', () => {
    const version = (yaml: string): string => parseTemplate(yaml, 'x.yaml').version;
    expect(version('# comment\ncommand:\n  - run\nname: "a"\nenv: {}\n')).toBe(version(MINIMAL));
    expect(version(`${MINIMAL}env: { A: "1", B: "2" }\n`)).toBe(version(`${MINIMAL}env: { B: "2", A: "1" }\n`));
    expect(version(`${MINIMAL}env: { A: "1" }\n`)).not.toBe(version(MINIMAL));
    expect(version('name: a\ncommand: [a, b]\n')).not.toBe(version('name: a\ncommand: [b, a]\n'));
  });

  it.each([
    ['nothing', '', ':1: a template is exactly one YAML document'],
    ['two documents', `${MINIMAL}---\n${MINIMAL}`, ':1: a template is exactly one YAML document'],
    ['broken YAML', 'name: a\ncommand: [run\n', ':3: Flow sequence'],
    ['a key twice', `${MINIMAL}name: b\n`, ':3: Map keys must be unique'],
    ['a tag', 'name: a\ncommand: !!js/function run\n', ':2: Unresolved tag'],
    ['an alias of nothing', 'name: a\ncommand: *b\n', ':1: Unresolved alias'],
    ['a list', '- a\n', ':1: must be a map of keys and values'],
    ['text', 'hello', ':1: must be a map of keys and values'],
    ['no name', 'command: [run]\n', ':1: name is missing; it must be text'],
    ['a bad name', 'name: My\ncommand: [run]\n', ':1: name must be 1 to 31 lower-case letters'],
    ['no program', 'name: a\ncommand: []\n', ':2: command must hold at least the program'],
    ['a command line', 'name: a\ncommand: run me\n', ':2: command must be a list'],
    [
      'a number as an argument',
      'name: a\ncommand: [run, 8080]\n',
      ':2: command[1] must be text: put it in quotes ("8080")',
    ],
    ['a misspelt key', `${MINIMAL}cheks: []\n`, ':3: cheks is no key of a template'],
    ['a misspelt key inside', `${MINIMAL}stop:\n  grace: 1\n`, ':4: stop.grace is no key of a template'],
    ['a nothing', `${MINIMAL}limits:\n`, ':3: limits must be a map of keys and values'],
    ['a boolean in env', `${MINIMAL}env:\n  A: true\n`, ':4: env.A must be text: put it in quotes ("true")'],
    ['a bad variable', `${MINIMAL}env:\n  A-B: x\n`, ':4: env.A-B must be the name of a variable'],
    [
      'a path out of the directory',
      `${MINIMAL}directories: [a/../../b]\n`,
      ':3: directories[0] must be a relative path',
    ],
    ['an absolute path', `${MINIMAL}requiredFiles: [/etc/passwd]\n`, ':3: requiredFiles[0] must be a relative path'],
    [
      'a mode that YAML reads as 600',
      `${MINIMAL}files: [{path: a, text: b, mode: 0600}]\n`,
      ':3: files[0].mode must be an octal mode in quotes',
    ],
    [
      'a mode that is not octal',
      `${MINIMAL}files: [{path: a, text: b, mode: "0800"}]\n`,
      ':3: files[0].mode must be an octal mode',
    ],
    ['a file of nothing', `${MINIMAL}files:\n  - path: a\n`, ':4: files[0] needs one of text, textFrom and json'],
    [
      'a file of two things',
      `${MINIMAL}files: [{path: a, text: b, json: c}]\n`,
      ':3: files[0] needs one of text, textFrom and json',
    ],
    [
      'few random bytes',
      `${MINIMAL}secrets: {a: {bytes: 8}}\n`,
      ':3: secrets.a.bytes is too small: expected number to be >=16',
    ],
    ['a secret with a dot', `${MINIMAL}secrets: {a.b: {}}\n`, ':3: secrets.a.b must begin with a letter'],
    [
      'an unknown readiness',
      `${MINIMAL}readiness: {kind: magic}\n`,
      ':3: readiness.kind is not allowed: expected one of "notify"|"listen"|"process"',
    ],
    [
      'a duration with a unit',
      `${MINIMAL}readiness:\n  startupSeconds: 30s\n`,
      ':4: readiness.startupSeconds must be a number',
    ],
    ['an unknown check', `${MINIMAL}checks:\n  - kind: ping\n`, ':4: checks[0].kind must be tcp or http'],
    ['a check without a path', `${MINIMAL}checks: [{kind: http}]\n`, ':3: checks[0].path is missing; it must be text'],
    [
      'a URL for a path',
      `${MINIMAL}checks: [{kind: http, path: "http://x/"}]\n`,
      ':3: checks[0].path must begin with "/"',
    ],
    [
      'a public proxy that grants something',
      `${MINIMAL}proxy: {public: true, headers: {Authorization: x}}\n`,
      ':3: proxy.public must not stand beside headers or query: every visitor would have what they grant',
    ],
    ['a header of two lines', `${MINIMAL}proxy: {headers: {A: "b\\nC: d"}}\n`, ':3: proxy.headers.A must be one line'],
    [
      'a signal nobody knows',
      `${MINIMAL}stop: {signal: TERM}\n`,
      ':3: stop.signal is not allowed: expected one of "SIGTERM"',
    ],
    [
      'a backoff that shrinks',
      `${MINIMAL}backoff: {minSeconds: 9, maxSeconds: 1}\n`,
      ':3: backoff.minSeconds must not be more than maxSeconds',
    ],
    ['an ambiguous size', `${MINIMAL}limits: {memory: 4G}\n`, ':3: limits.memory must be a size such as 512MiB'],
    ['a size too small to live in', `${MINIMAL}limits: {memory: 1KiB}\n`, ':3: limits.memory must be 16MiB or more'],
    ['a container too large', `${MINIMAL}capacity: 101\n`, ':3: capacity is too big'],
    [
      'an unknown placeholder',
      'name: a\ncommand:\n  - "{{prot}}"\n',
      ':3: command[0] holds {{prot}}, which is no placeholder; allowed are {{id}}',
    ],
    [
      'a placeholder that never closes',
      'name: a\ncommand: ["{{port"]\n',
      ':2: command[0] holds {{port, which is no placeholder',
    ],
    [
      'a secret nobody declared',
      'name: a\ncommand: ["{{secret.key}}"]\n',
      ':2: command[0] holds {{secret.key}}, but there is no secret key; declare it',
    ],
    [
      'a secret named like a method',
      'name: a\ncommand: ["{{secret.constructor}}"]\n',
      ':2: command[0] holds {{secret.constructor}}, but there is no secret',
    ],
    [
      'such a secret in HTTP Basic',
      'name: a\ncommand: ["{{basic.bot.key}}"]\n',
      ':2: command[0] holds {{basic.bot.key}}, but there is no secret key',
    ],
    [
      'such a secret deep in JSON',
      `${MINIMAL}files:\n- path: a\n  json:\n    b:\n    - "{{secret.c}}"\n`,
      ':7: files[0].json.b[0] holds {{secret.c}}',
    ],
    [
      'a placeholder where none is filled in',
      `${MINIMAL}description: "{{id}}"\n`,
      ':3: description is not filled in for each bot',
    ],
  ])('with %s is refused, with the line and what is allowed', (_, yaml, problem) => {
    const [first, ...others] = problemsOf(yaml);
    expect(first).toContain(`x.yaml${problem}`);
    expect(others).toEqual([]);
  });

  it('is told of all its problems at once, in order of the lines', () => {
    const found = problemsOf('nmae: a\ncommand: [1]\nstop: {signal: X}\ncapacity: 0\n');
    expect(found.map((line) => line.split(' ')[0])).toEqual([
      'x.yaml:1:',
      'x.yaml:1:',
      'x.yaml:2:',
      'x.yaml:3:',
      'x.yaml:4:',
    ]);
  });

  it('with aliases that multiply is refused', () => {
    const tenfold = (name: string, of: string) => `${name}: &${name} [${Array(10).fill(of).join(', ')}]\n`;
    const [problem] = problemsOf(tenfold('a', 'x') + tenfold('b', '*a') + tenfold('c', '*b') + tenfold('d', '*c'));
    expect(problem).toContain('alias');
  });
});

describe('templates of folders', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'bunkhouse-templates-'));
    for (const name of ['built-in', 'own']) mkdirSync(join(folder, name));
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  const write = (path: string, yaml: string): void => writeFileSync(join(folder, path), yaml);
  const folders = () => ['built-in', 'own', 'absent'].map((name) => join(folder, name));

  it('are found by name, and a later folder wins', async () => {
    write('built-in/a.yaml', MINIMAL);
    write('built-in/b.yml', 'name: b\ncommand: [b]\n');
    write('built-in/readme.md', 'not a template');
    write('built-in/.hidden.yaml', 'not: one');
    write('own/mine.yaml', 'name: a\ncommand: [mine]\n');
    const templates = await loadTemplates(folders());
    expect([...templates.values()].map(({ name, command }) => [name, ...command])).toEqual([
      ['a', 'mine'],
      ['b', 'b'],
    ]);
  });

  it('of one folder must not share a name', async () => {
    write('own/a.yaml', MINIMAL);
    write('own/b.yaml', MINIMAL);
    const error = await loadTemplates(folders()).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'INVALID',
      message: expect.stringMatching(/own\/b\.yaml: the name a is taken by .*own\/a\.yaml/),
    });
  });

  it('are refused with the problems of all files together', async () => {
    write('built-in/a.yaml', 'name: a\n');
    write('own/b.yaml', 'command: [b]\n');
    const error = await loadTemplates(folders()).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'INVALID',
      message: expect.stringMatching(/a\.yaml:1: command.*\n.*b\.yaml:1: name/),
    });
  });

  it('that are not there are NOT_FOUND when asked for by file', async () => {
    await expect(loadTemplate(join(folder, 'nope.yaml'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('that come with Bunkhouse are valid', async () => {
    await loadTemplates([resolve(import.meta.dirname, '../../templates')]);
  });
});

describe('templates that are handed out on lease', () => {
  const template = (lease: string, rest = '') => `name: a\ncommand: [run]\n${rest}lease: ${lease}\n`;

  it('take the settings where they do not say, and placeholders in what cleans them', () => {
    const step = '{ kind: exec, command: [clean, "{{id}}"], stdin: "{{secret.db}}" }';
    const text = template(`{ reset: { steps: [${step}], verify: [{ kind: exec, command: [check] }] } }`);
    const { lease } = parseTemplate(`${text}secrets: { db: {} }\n`, 'a.yaml');
    expect(lease).toEqual({
      ttlSeconds: 1800,
      maxTtlSeconds: 86_400,
      perOwner: null,
      access: {},
      reserve: { target: null, locations: {}, min: null, batchSize: null, batchSpacingSeconds: null, windows: [] },
      reset: {
        steps: [{ kind: 'exec', command: ['clean', '{{id}}'], stdin: '{{secret.db}}', timeoutSeconds: 60 }],
        verify: [{ kind: 'exec', command: ['check'], stdin: '', timeoutSeconds: 60 }],
      },
    });
  });

  it('need no check where a step leaves nothing to check', () => {
    expect(parseTemplate(template('{ reset: { steps: [{ kind: clear }] } }'), 'a.yaml').lease?.reset?.verify).toEqual(
      [],
    );
  });

  const windows = (cron: string) =>
    `{ reserve: { windows: [{ cron: ${JSON.stringify(cron)}, minutes: 5, target: 1 }] } }`;
  it.each([
    {
      what: 'containers of one owner',
      text: template('{}', 'isolation: owner\n'),
      says: 'isolation must be template',
    },
    {
      what: 'a location that is no name',
      text: template('{ reserve: { locations: { "We/st": 1 } } }'),
      says: 'lease.reserve.locations.We/st must be the name of a location',
    },
    { what: 'files to bring', text: template('{}', 'requiredFiles: [x]\n'), says: 'requiredFiles must be empty' },
    {
      what: 'a lease.json of its own',
      text: template('{}', 'files: [{ path: lease.json, text: x }]\n'),
      says: 'files[0].path must not be lease.json',
    },
    {
      what: 'a reset that proves nothing',
      text: template('{ reset: { steps: [{ kind: exec, command: [clean] }] } }'),
      says: 'lease.reset must have a step of kind clear or a check',
    },
    { what: 'a cron expression that is none', text: template(windows('every day')), says: 'must be a cron expression' },
    { what: 'one with seconds', text: template(windows('30 0 9 * * *')), says: 'of five fields' },
    {
      what: 'a longer time than the longest',
      text: template('{ ttlSeconds: 9, maxTtlSeconds: 8 }'),
      says: 'maxTtlSeconds',
    },
    { what: 'placeholders elsewhere', text: template('{}', 'description: "{{id}}"\n'), says: 'is not filled in' },
  ])('do not have $what', ({ text, says }) => {
    expect(() => parseTemplate(text, 'a.yaml')).toThrow(says);
  });
});
