import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const lib = join(root, 'lib');

/** The layout table of lib/README.md: what each folder of lib may import of the others. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  domain: [],
  planner: ['domain'],
  services: ['domain', 'planner', 'events', 'util'],
  drivers: ['domain', 'util', 'supervisord'],
  supervisord: ['domain', 'util'],
  probes: ['domain', 'util'],
  store: ['domain', 'util'],
  backup: ['domain', 'util'],
  router: ['domain', 'events', 'util'],
  http: ['services', 'domain', 'config', 'events', 'util'],
  cli: ['domain', 'config'],
  config: ['domain'],
  events: ['domain', 'util'],
  util: ['domain'],
};

/** Files that hold only types of a port; services may import them, as types. */
const PORT_FILES = [
  'backup/inspector.ts',
  'backup/vault.ts',
  'drivers/driver.ts',
  'drivers/foreign-host.ts',
  'store/store.ts',
  'store/usage-store.ts',
  'probes/probe.ts',
  'services/backup-api.ts',
  'services/front.ts',
  'services/lease-api.ts',
  'services/migration-api.ts',
  'services/pool-api.ts',
  'services/upgrade-api.ts',
  'services/usage-api.ts',
];

/** Folders whose files stay free of Node and of packages. */
const PURE = ['domain', 'planner'];

interface Import {
  readonly from: string;
  readonly spec: string;
  readonly typeOnly: boolean;
}

function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8');
  const statement = /^(?:import|export)\s+(type\s)?[^'";]*?from\s+'([^']+)'|^import\s+'([^']+)'|import\('([^']+)'\)/gm;
  return [...text.matchAll(statement)].map((match) => ({
    from: file,
    spec: match[2] ?? match[3] ?? match[4] ?? '',
    typeOnly: match[1] !== undefined,
  }));
}

const place = (file: string): string => relative(lib, file).replaceAll('\\', '/');
const layerOf = (file: string): string => place(file).split('/')[0] ?? '';
const isRootFile = (file: string): boolean => !place(file).includes('/');
const target = (found: Import): string => resolve(dirname(found.from), found.spec);

const files = sources(lib);
const all = files.flatMap(importsOf);

describe('architecture', () => {
  it('imports only what the layout table allows', () => {
    const wrong = all
      .filter((found) => found.spec.startsWith('.') && !isRootFile(found.from))
      .filter((found) => {
        const from = layerOf(found.from);
        const to = layerOf(target(found));
        if (from === to) return false;
        if (found.typeOnly && PORT_FILES.includes(place(target(found)))) return false;
        return !(MAY_IMPORT[from] ?? []).includes(to);
      })
      .map((found) => `${place(found.from)} imports ${found.spec}`);
    expect(wrong).toEqual([]);
  });

  it('knows every folder of lib', () => {
    const unknown = files.filter((file) => !isRootFile(file) && !(layerOf(file) in MAY_IMPORT)).map(place);
    expect(unknown).toEqual([]);
  });

  it('keeps domain and planner free of Node and packages', () => {
    const wrong = all
      .filter((found) => PURE.includes(layerOf(found.from)) && !found.spec.startsWith('.'))
      .map((found) => `${place(found.from)} imports ${found.spec}`);
    expect(wrong).toEqual([]);
  });

  it('has no import cycle', () => {
    const graph = new Map(
      files.map((file) => [
        file,
        importsOf(file)
          .filter((found) => found.spec.startsWith('.'))
          .map(target),
      ]),
    );
    expect(findCycle(graph)?.map(place) ?? []).toEqual([]);
  });

  it('touches the clock, timers and the environment only where it may', () => {
    const hidden = /\bDate\.now\b|\bnew Date\(\)|\bset(?:Timeout|Interval)\(|\bprocess\.env\b/;
    const allowed = (file: string): boolean =>
      place(file) === 'util/clock.ts' || place(file) === 'main.ts' || layerOf(file) === 'config';
    const wrong = files.filter((file) => !allowed(file) && hidden.test(readFileSync(file, 'utf8'))).map(place);
    expect(wrong).toEqual([]);
  });

  it('runs nothing through a shell', () => {
    const shell = /\bexec(?:Sync)?\(|shell:\s*true/;
    const wrong = files.filter((file) => shell.test(readFileSync(file, 'utf8').replaceAll(/\.exec\(/g, ''))).map(place);
    expect(wrong).toEqual([]);
  });
});

function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] | null {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): string[] | null => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return null;
    for (const next of graph.get(file) ?? []) {
      const cycle = visit(next, [...path, file]);
      if (cycle !== null) return cycle;
    }
    done.add(file);
    return null;
  };
  for (const file of graph.keys()) {
    const cycle = visit(file, []);
    if (cycle !== null) return cycle;
  }
  return null;
}
