import { describe, expect, it } from 'vitest';
import { frame } from '../../lib/cli/commands/top.ts';
import { runningFindings } from '../../lib/cli/doctor/running.ts';
import { concern, memoryText, modeText, spawnText, totalText } from '../../lib/cli/resources.ts';
import { botTable, containerTable, serviceTable } from '../../lib/cli/tables.ts';
import { aBotView, aContainerView, aServiceView, aStatus, aZygoteView, memory } from './views.ts';

const GONE = { kind: 'exec', reason: 'the zygote is not there: killed by SIGKILL' } as const;
const OFF = { kind: 'exec', reason: 'switched off for this bot by BUNKHOUSE_PREFORK=off' } as const;
const SAVED = { pssBytes: 2400 * 1024 ** 2, savedBytes: 2200 * 1024 ** 2, samples: [] };

describe('what bots take, in words', () => {
  it('names what is private, and what is swapped where something is', () => {
    expect(memoryText(null)).toBe('-');
    expect(memoryText(memory(40, 30))).toBe('40.0 MiB, of it private 30.0 MiB');
    expect(memoryText(memory(40, 30, 5))).toBe('40.0 MiB, of it private 30.0 MiB, swapped 5.0 MiB');
  });

  it('says how a bot was started, and why not otherwise', () => {
    expect(spawnText(aBotView('a'))).toBe('forked from a zygote');
    expect(spawnText(aBotView('a', { spawn: { kind: 'exec', reason: '' } }))).toBe('executed');
    expect(spawnText(aBotView('a', { spawn: GONE }))).toBe(`executed, not forked: ${GONE.reason}`);
    expect(spawnText(aBotView('a', { spawn: null }))).toBe('-');
  });

  it('has a concern for a warning first, then for a bot that was not forked', () => {
    expect(concern(aBotView('a'))).toBe('');
    expect(concern(aBotView('a', { spawn: GONE }))).toBe(`not forked: ${GONE.reason}`);
    expect(concern(aBotView('a', { spawn: GONE, warning: 'memory near its ceiling' }))).toBe('memory near its ceiling');
  });

  it('says whether a bot shares its container, and why not', () => {
    const since = '2026-05-01T10:00:00.000Z';
    const asked = { legacy: { cause: 'asked', why: 'asked for when it was made', since } } as const;
    const fallback = { legacy: { cause: 'fallback', why: 'no image', since } } as const;
    const alone = { container: 'c-2', mode: 'legacy' } as const;
    expect(modeText(aBotView('a'))).toBe('pooled');
    expect(modeText(asked)).toBe(`legacy, in a container of its own since ${since}: asked for when it was made`);
    expect(modeText(fallback)).toMatch(/: the pool could not take it: no image$/);
    const rows = botTable([aBotView('a'), aBotView('b', { ...alone, ...fallback })], 0)
      .trimEnd()
      .split('\n');
    expect(rows.slice(1).map((row) => [row.split(/ {2,}/)[5], row.split(/ {2,}/)[10] ?? ''])).toEqual([
      ['c-1/0', ''],
      ['c-2 (alone)', 'alone, because the pool could not take it: no image'],
    ]);
    const [, row] = containerTable([aContainerView('c-2', [aBotView('b')], { mode: 'legacy' })], 0).split('\n');
    expect(row?.split(/ {2,}/)[3]).toBe('1 alone');
  });

  it('says what it would be one per container only where that is known', () => {
    expect(totalText(aStatus([]))).toBe('200.0 MiB');
    expect(totalText(aStatus([], { memory: null }))).toBe('-');
    expect(totalText(aStatus([], { onePerContainer: SAVED }))).toBe(
      '200.0 MiB (2400.0 MiB if each bot had a container)',
    );
  });
});

describe('top', () => {
  it('marks what was not forked, and tells concerns before what bots say of themselves', () => {
    const bots = [
      aBotView('fork', { cpuSeconds: 40 }),
      aBotView('gone', { cpuSeconds: 30, spawn: GONE }),
      aBotView('near', { cpuSeconds: 20, warning: 'memory near its ceiling' }),
      aBotView('ill', { cpuSeconds: 10, spawn: GONE, reason: 'does not answer' }),
    ];
    const pool = aStatus([aContainerView('c-1', bots)], { onePerContainer: SAVED });
    const [headline, , head, ...rows] = frame({ at: 0, bots, pool }, null, 0).trimEnd().split('\n');
    expect(headline).toBe(
      '4 bots, 4 running · 1 container, 200.0 MiB (2400.0 MiB if each bot had a container) · healthy',
    );
    expect(head?.split(/ {2,}/).slice(4, 7)).toEqual(['MEMORY', 'PRIVATE', 'SPAWN']);
    const cells = rows.map((row) => row.split(/ {2,}/));
    expect(cells.map((row) => [row[0], row[4], row[5], row[6], row.at(-1)])).toEqual([
      ['fork', '40.0 MiB', '30.0 MiB', 'fork', 'Trading'],
      ['gone', '40.0 MiB', '30.0 MiB', 'exec!', `not forked: ${GONE.reason}`],
      ['near', '40.0 MiB', '30.0 MiB', 'fork', 'memory near its ceiling'],
      ['ill', '40.0 MiB', '30.0 MiB', 'exec!', 'does not answer'],
    ]);
  });
});

describe('the table of containers', () => {
  it('has a line for each service, and none where there are none', () => {
    expect(serviceTable([aContainerView('c-1', [])], 0)).toBe('');
    const services = [
      aServiceView({ reason: 'killed by SIGKILL' }),
      aServiceView({ name: 'cache', state: 'backoff', reason: 'x' }),
    ];
    const [, , first, second] = serviceTable([aContainerView('c-1', [], { services })], 0).split('\n');
    expect(first).toMatch(/^c-1 +mariadb +running +6 +0 +90\.0 MiB *$/);
    expect(second).toMatch(/^c-1 +cache +backoff .* x$/);
  });

  it('has the state of zygotes', () => {
    const views = [
      aContainerView('c-1', [], { zygotes: [aZygoteView({ forks: 10 }), aZygoteView({ state: 'starting' })] }),
      aContainerView('c-2', [], { zygotes: [aZygoteView({ state: 'failed', reason: 'x' })] }),
      aContainerView('c-3', []),
    ];
    const rows = containerTable(views, 0).trimEnd().split('\n');
    expect(rows.slice(1).map((row) => row.split(/ {2,}/)[6])).toEqual(['10 forks, starting', 'failed', '-']);
  });

  it('says where each is when they are not all in one place', () => {
    const [near, far] = [aContainerView('c-1', []), aContainerView('c-2', [], { location: 'weur' })];
    const rows = containerTable([near, far], 0).trimEnd().split('\n');
    expect(rows.map((row) => row.split(/ {2,}/)[1])).toEqual(['LOCATION', 'local', 'weur']);
    expect(containerTable([near], 0)).not.toContain('LOCATION');
  });
});

describe('doctor, of what runs', () => {
  it('finds nothing of note where all is as it should be', () => {
    const pools = [aContainerView('c-1', [aBotView('a'), aBotView('b')], { zygotes: [aZygoteView()] })];
    expect(runningFindings(aStatus(pools), '0')).toEqual([
      { name: 'zygote', level: 'ok', found: 'c-1: ready, 2 forks', next: '' },
      { name: 'shared memory', level: 'ok', found: '2 of 2 bots forked from a zygote', next: '' },
    ]);
    expect(runningFindings(aStatus([]), null)).toEqual([]);
    const cut = { name: 'weur', title: 'Western Europe', default: false, reachable: false, reason: 'the line is cut' };
    expect(runningFindings(aStatus([], { locations: [cut] }), null)).toMatchObject([
      { name: 'location', level: 'fail', found: 'weur: the line is cut' },
    ]);
  });

  it('tells which bots were not forked, why, and what to do unless it was wished, once for each reason in a container', () => {
    const ids = ['a', 'b', 'c', 'd', 'e'];
    const bots = [...ids.map((id) => aBotView(id, { spawn: GONE })), aBotView('off', { spawn: OFF })];
    const findings = runningFindings(aStatus([aContainerView('c-1', bots)]), null);
    expect(findings.filter(({ name }) => name === 'not forked')).toEqual([
      {
        name: 'not forked',
        level: 'warn',
        found: `c-1: a, b, c and 2 more: ${GONE.reason}`,
        next: expect.stringContaining('restart'),
      },
      { name: 'not forked', level: 'ok', found: `c-1: off: ${OFF.reason}`, next: '' },
    ]);
  });

  it('tells which bots the pool could not take, why, and how to bring them in', () => {
    const since = '2026-05-01T10:00:00.000Z';
    const [fallback, asked] = (['fallback', 'asked'] as const).map((cause) => ({ cause, why: 'no image', since }));
    const fallen = aContainerView('c-1', [aBotView('a')], { mode: 'legacy', legacy: fallback ?? null });
    const wanted = aContainerView('c-2', [aBotView('b')], { mode: 'legacy', legacy: asked ?? null });
    expect(runningFindings(aStatus([fallen, wanted]), null).filter(({ name }) => name === 'legacy')).toEqual([
      {
        name: 'legacy',
        level: 'warn',
        found: `c-1: a is alone since ${since}, because the pool could not take it: no image`,
        next: 'When that is put right, bring it in: bunkhouse bots pool a',
      },
    ]);
    expect(containerTable([fallen], 0)).toContain('alone, because the pool could not take it: no image');
  });

  it('tells of a zygote that failed, and what is worth knowing of one that works', () => {
    const zygotes = [
      aZygoteView({ state: 'failed', reason: 'No module named x' }),
      aZygoteView({ notes: ['2 modules are not there'] }),
    ];
    expect(runningFindings(aStatus([aContainerView('c-1', [], { zygotes })]), null)).toMatchObject([
      { name: 'zygote', level: 'warn', found: 'c-1: failed: No module named x' },
      { name: 'zygote', level: 'ok', found: 'c-1: ready, 2 forks; 2 modules are not there' },
    ]);
  });

  it('tells of services: those that are not up, are near a limit, or run by an old definition', () => {
    const services = [
      aServiceView({ state: 'backoff', pid: null, reason: 'exited with code 1' }),
      aServiceView({ name: 'cache', warning: 'memory is near its ceiling' }),
      aServiceView({ name: 'old', restarts: 2, outdated: true }),
    ];
    expect(runningFindings(aStatus([aContainerView('c-1', [], { services })]), null)).toMatchObject([
      {
        name: 'service',
        level: 'warn',
        found: 'c-1: mariadb is backoff: exited with code 1',
        next: expect.stringContaining('bunkhouse pool service-logs c-1 mariadb'),
      },
      { level: 'warn', found: 'c-1: cache: memory is near its ceiling' },
      { level: 'ok', found: expect.stringMatching(/^c-1: old runs, 2 restarts; its template was changed/) },
    ]);
  });

  it.each([
    { merge: true, ksm: '0', level: 'warn' },
    { merge: true, ksm: null, level: 'warn' },
    { merge: true, ksm: '1', level: 'ok' },
    { merge: false, ksm: '0', level: undefined },
  ])('judges page merging: asked for $merge, kernel says $ksm: $level', ({ merge, ksm, level }) => {
    const status = aStatus([aContainerView('c-1', [], { zygotes: [aZygoteView({ merge })] })]);
    const found = runningFindings(status, ksm).find(({ name }) => name === 'page merging');
    expect(found?.level).toBe(level);
    if (level === 'warn') expect(found?.next).toMatch(/echo 1 \| sudo tee \/sys\/kernel\/mm\/ksm\/run.*costs CPU/);
  });

  it('tells which containers have no cgroups for their bots, but of Docker’s, whose may be made from outside', () => {
    const cgroups = { made: false, reason: 'no memory: not delegated to this cgroup' };
    const views = [aContainerView('c-1', [], { cgroups }), aContainerView('c-2', [], { cgroups })];
    expect(
      runningFindings(aStatus([...views, aContainerView('c-3', [], { cgroups, driver: 'docker' })]), null),
    ).toEqual([
      expect.objectContaining({ name: 'walls of bots', level: 'warn', found: `c-1, c-2: ${cgroups.reason}` }),
    ]);
  });
});
