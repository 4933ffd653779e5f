import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadTemplate } from '../../lib/config/template.ts';
import type { Discovery } from '../../lib/domain/discovery.ts';
import type { Template } from '../../lib/domain/template.ts';
import type { Deployment } from '../../lib/drivers/foreign-host.ts';
import {
  databaseArguments,
  databasePlaces,
  declaredNames,
  inBot,
  keyOf,
  matchDeployment,
  readArguments,
} from '../../lib/planner/discovery.ts';
import { aTemplate } from './builders.ts';

let template: Template;
let rule: Discovery;
beforeAll(async () => {
  template = await loadTemplate(join(resolve(import.meta.dirname, '../..'), 'templates/freqtrade.yaml'));
  if (template.discovery === null) throw new Error('freqtrade has no discovery');
  rule = template.discovery;
});

const MOUNTS = ['/freqtrade/config.json', '/freqtrade/user_data'].map((target) => ({
  kind: 'bind' as const,
  source: `/srv${target}`,
  target,
  readOnly: false,
}));

function aDeployment(overrides: Partial<Deployment> = {}): Deployment {
  return {
    ref: { kind: 'container', name: 'freqtrade-My.Bot', id: 'abc' },
    name: 'freqtrade-My.Bot',
    image: 'freqtradeorg/freqtrade:stable',
    command: ['freqtrade', 'trade'],
    env: {},
    workdir: '/freqtrade',
    state: 'running',
    note: '',
    restartPolicy: { name: 'unless-stopped', maximumRetryCount: 0 },
    ports: [],
    mounts: [],
    startedAt: null,
    labels: {},
    ...overrides,
  };
}

describe('a deployment is told', () => {
  it.each([
    ['by name and image', { name: 'freqtrade-My.Bot' }, 'My.Bot'],
    ['with a registry before the image', { image: 'mirror.example/freqtradeorg/freqtrade@sha256:ab' }, 'My.Bot'],
    ['by its mounts when the image is its own', { image: 'mine', mounts: MOUNTS }, 'My.Bot'],
    ['not without either', { image: 'mine', mounts: MOUNTS.slice(1) }, null],
    ['not by an image whose name goes on', { image: 'freqtradeorg/freqtradeui:1' }, null],
    ['not by another name', { name: 'nginx' }, null],
    ['not by a name that only ends so', { name: 'my-freqtrade-a' }, null],
  ] as const)('%s', (_, overrides, id) => {
    const match = matchDeployment(aDeployment(overrides), new Map([['freqtrade', template]]));
    expect(match.kind === 'match' ? match.id : null).toBe(id);
  });

  it('not without a template that says how', () => {
    const match = matchDeployment(aDeployment(), new Map([['echo', aTemplate()]]));
    expect(match).toMatchObject({ kind: 'other', why: expect.stringContaining('discovery') });
  });
});

describe('of the arguments', () => {
  it.each([
    ['nothing is left of those every bot has', ['trade', '--config', '/freqtrade/config.json', '--logfile', 'x'], []],
    ['a strategy is kept', ['trade', '--strategy', 'Sample'], ['--strategy', 'Sample']],
    ['also with an equals sign', ['trade', '--strategy=Sample'], ['--strategy', 'Sample']],
    ['the program may be there', ['/usr/local/bin/freqtrade', 'trade', '--dry-run'], ['--dry-run']],
    [
      'paths become those of the bot',
      ['trade', '--strategy-path', '/freqtrade/user_data/s'],
      ['--strategy-path', 'user_data/s'],
    ],
  ] as const)('%s', (_, command, kept) => {
    expect(readArguments({ command }, rule)).toMatchObject({ kept, trouble: [] });
  });

  it.each([
    ['an unknown one', ['freqtrade', 'trade', '--new-flag'], '"--new-flag"'],
    ['one without its value', ['freqtrade', 'trade', '--strategy'], 'lacks its value'],
    ['another subcommand', ['freqtrade', 'webserver'], '"webserver"'],
    ['a second configuration', ['trade', '-c', '/freqtrade/config.json', '-c', 'more.json'], 'more.json'],
    ['a shell', ['sh', '-c', 'freqtrade trade'], '"sh"'],
    ['a key of every object', ['freqtrade', 'trade', '--constructor', 'toString'], 'not known'],
  ])('%s stands in the way', (_, command, said) => {
    expect(readArguments({ command }, rule).trouble.join()).toContain(said);
  });
});

describe('the database', () => {
  const places = (config: unknown, ...command: string[]) =>
    databasePlaces(rule.database as never, rule, readArguments({ command: ['trade', ...command] }, rule), config);

  it.each([
    ['relative to the working directory', 'sqlite:///user_data/t.sqlite?timeout=60', 'user_data/t.sqlite', []],
    [
      'absolute in the configuration: the bot is told by an argument',
      'sqlite:////freqtrade/user_data/t.sqlite?timeout=60',
      'user_data/t.sqlite',
      ['--db-url', 'sqlite:///user_data/t.sqlite?timeout=60'],
    ],
    ['in the container itself', 'sqlite:///t.sqlite', 't.sqlite', []],
  ])('is %s', (_, url, path, args) => {
    expect(places({ db_url: url })).toEqual([{ kind: 'file', old: `/freqtrade/${path}`, path, args }]);
  });

  it.each(['postgresql://h/d', 'sqlite://', 'sqlite:////var/lib/t.sqlite'])('is not moved from %s', (url) => {
    expect(places({ db_url: url })).toEqual([{ kind: 'other', why: expect.any(String) }]);
  });

  it('is where the argument says, which wins, and is named so to the bot', () => {
    const url = 'sqlite:////freqtrade/user_data/b.sqlite';
    expect(places({ db_url: 'sqlite:///a.sqlite' }, '--db-url', url)).toMatchObject([{ path: 'user_data/b.sqlite' }]);
    const { kept } = readArguments({ command: ['trade', '--db-url', url] }, rule);
    expect(databaseArguments(kept, rule.database as never, rule)).toEqual(['--db-url', 'sqlite:///user_data/b.sqlite']);
  });

  it('is looked for where nothing names it', () => {
    expect(places({}).map((place) => place.kind === 'file' && place.path)).toEqual([
      'tradesv3.sqlite',
      'tradesv3.dryrun.sqlite',
    ]);
  });
});

describe('paths, keys and code', () => {
  it.each([
    ['/freqtrade/user_data/a/b', 'user_data/a/b'],
    ['/freqtrade/config.json', 'config.json'],
    ['/freqtrade', '.'],
    ['/freqtrade2/x', null],
    ['relative', null],
  ])('%s is %s for the bot', (path, expected) => expect(inBot(path, rule)).toBe(expected));

  it('finds keys by their path, and none that everything has', () => {
    expect(keyOf({ a: { b: 1 } }, 'a.b')).toBe(1);
    expect(keyOf({ a: 1 }, 'a.b')).toBeUndefined();
    expect(keyOf({}, 'constructor')).toBeUndefined();
  });

  it('finds classes', () => {
    const text = 'import x\nclass A(IStrategy):\n  class Inner: pass\nclass B:\n# class C(';
    expect(declaredNames(text, rule.code?.declares ?? '')).toEqual(['A', 'B']);
  });
});
