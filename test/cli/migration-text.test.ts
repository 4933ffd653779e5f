import { describe, expect, it } from 'vitest';
import { candidateText, dryRunText } from '../../lib/cli/migration/candidate-text.ts';
import { barLine } from '../../lib/cli/migration/follow.ts';
import { endLines, refusedText, statusText, summaryText } from '../../lib/cli/migration/migration-text.ts';
import { exitCodeOfMoves } from '../../lib/cli/migration/outcome.ts';
import type { Candidate, MigrationProblem, MigrationView } from '../../lib/services/migration-api.ts';

const MIB = 1 << 20;
const BROKEN: MigrationProblem = {
  code: 'CONFIG_INVALID',
  message: 'config.json is no JSON',
  advice: 'Mend it.',
  blocking: true,
};

function aCandidate(id: string, problems: readonly MigrationProblem[] = []): Candidate {
  return {
    id,
    template: 'freqtrade',
    owner: 'Ann',
    source: {
      kind: 'container',
      name: `freqtrade-${id}`,
      path: `/srv/bots/Ann/${id}`,
      image: 'freqtradeorg/freqtrade:stable',
      command: ['freqtrade', 'trade'],
      state: 'running',
      restartPolicy: { name: 'unless-stopped', maximumRetryCount: 0 },
      ports: [{ host: '', hostPort: 8100, containerPort: 8100 }],
      mounts: [{ kind: 'bind', source: '/srv/config.json', target: '/freqtrade/config.json', readOnly: true }],
      startedAt: null,
    },
    config: { path: 'config.json', bytes: 900, valid: problems.length === 0 },
    database: {
      path: 'user_data/tradesv3.sqlite',
      bytes: MIB,
      walBytes: MIB / 2,
      damage: '',
      facts: {
        path: 'user_data/tradesv3.sqlite',
        bytes: MIB,
        tables: { trades: { rows: 17, last: 17, sha256: 'x' } },
        answers: { open: '2', last: null },
      },
    },
    args: [],
    destination: { pool: 'freqtrade/default/local', container: null, note: '' },
    steps: ['stop freqtrade', 'copy it'],
    problems,
    ready: problems.every(({ blocking }) => !blocking),
    estimate: { secondsDown: 4.2, basis: 'measured here' },
  };
}

function aMigration(id: string, more: Partial<MigrationView> = {}): MigrationView {
  return {
    id,
    template: 'freqtrade',
    owner: 'Ann',
    source: { kind: 'container', name: `freqtrade-${id}` },
    phase: 'done',
    since: '2026-05-01T10:00:00.000Z',
    beganAt: '2026-05-01T10:00:00.000Z',
    endedAt: '2026-05-01T10:00:05.000Z',
    over: true,
    ranBefore: true,
    restartPolicy: null,
    secondsDown: 5,
    why: '',
    held: '',
    notes: [],
    proof: { before: null, after: null },
    backup: null,
    carried: null,
    removesAt: null,
    ...more,
  };
}

const failed = (id: string) => aMigration(id, { phase: 'failed', why: 'it was not well' });

describe('a dry run', () => {
  it('tells of each bot all that was found and would be done', () => {
    const text = candidateText(aCandidate('A.1'));
    for (const line of [
      /^A\.1 {2}\(can be moved\)$/m,
      /^ {2}found +container freqtrade-A\.1, running, restart unless-stopped$/m,
      /^ {2}image +freqtradeorg\/freqtrade:stable: freqtrade trade$/m,
      /^ {2}ports +8100:8100$/m,
      /^ {2}mount +\/srv\/config\.json at \/freqtrade\/config\.json, read-only$/m,
      /^ {2}database +user_data\/tradesv3\.sqlite, 1\.0 MiB and 0\.5 MiB in its WAL, 17 trades, open 2, last -$/m,
      /^ {2}goes to +a new container of pool freqtrade\/default\/local$/m,
      /^ {2}away +about 5s \(measured here\)$/m,
      /^ {4}2\. copy it$/m,
    ])
      expect(text).toMatch(line);
  });

  it('tells what stands in the way and what to do, and ends with the next command', () => {
    const candidates = [aCandidate('a'), aCandidate('b', [BROKEN])];
    const text = dryRunText({ candidates, migrations: [], foreign: [], trouble: ['no engine answers'] }, 0);
    expect(text).toContain('  in the way: config.json is no JSON (CONFIG_INVALID)\n    Mend it.\n');
    expect(text).toMatch(/^a +Ann +running +1\.5 MiB +open 2, last - +~5s +nothing$/m);
    expect(text).toMatch(/^b .* config\.json is no JSON$/m);
    expect(text).toContain('Not looked at: no engine answers\n');
    expect(text).toMatch(/^1 of 2 bots can be moved\. This was a dry run: nothing was changed\.$/m);
    expect(text).toMatch(/bunkhouse migrate --execute/);
  });

  it('keeps control characters of a name out of the terminal', () => {
    const evil = aCandidate('a', [{ ...BROKEN, message: 'x\u001b[2J' }]);
    expect(candidateText({ ...evil, owner: '\u001b]0;y\u0007' })).not.toMatch(/[^\P{Cc}\n]/u);
    expect(refusedText([evil])).not.toMatch(/[^\P{Cc}\n]/u);
  });
});

describe('the exit code', () => {
  const [moved, lost] = [aMigration('a'), failed('b')];
  it.each([
    { what: 'nothing to do', migrations: [], refused: [], code: 0 },
    { what: 'all moved', migrations: [moved], refused: [], code: 0 },
    { what: 'some went back', migrations: [moved, lost], refused: [], code: 8 },
    { what: 'some refused', migrations: [moved], refused: ['c'], code: 8 },
    { what: 'all went back', migrations: [lost], refused: [], code: 1 },
    { what: 'all refused', migrations: [], refused: ['c'], code: 1 },
  ])('of $what is $code', ({ migrations, refused, code }) => {
    expect(exitCodeOfMoves({ migrations, refused })).toBe(code);
  });
});

describe('the progress of moves', () => {
  it('is a bar with those on their way', () => {
    const migrations = [
      aMigration('a'),
      aMigration('b', { phase: 'proving', over: false }),
      aMigration('c', { phase: 'waiting', over: false }),
    ];
    expect(barLine(migrations)).toBe('[######--------------] 1 of 3  b: proving');
  });

  it('ends with what became of each, and how to go back', () => {
    expect(endLines(aMigration('a', { notes: ['look'] }))).toEqual(['✓ a: moved, 5.0 s away', '    look']);
    expect(endLines(failed('b'))).toEqual(['✗ b: not moved, it is as it was before: it was not well']);
    expect(summaryText({ migrations: [aMigration('a'), failed('b')], refused: ['c'] })).toBe(
      '1 bot moved, 1 went back, 1 not touched.\n' +
        'The old containers are kept, stopped. Back: bunkhouse migrate --rollback a; for good: bunkhouse migrate --finish a\n',
    );
  });

  it('is a table of all there were', () => {
    const text = statusText([aMigration('a'), aMigration('b', { phase: 'copying', held: 'no space' })], 0);
    expect(text).toMatch(/^a +done +\S+ +5s +freqtrade-a +when asked$/m);
    expect(text).toMatch(/^b +copying .* held up: no space$/m);
  });
});
