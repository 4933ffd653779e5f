import type { Candidate, MigrationView } from '../../services/migration-api.ts';
import { count, duration, facts, plain, table } from '../text.ts';
import { answersText } from './candidate-text.ts';
import { isMoved, type Outcome } from './outcome.ts';

/** Every migration there was, one a line. */
export function statusText(migrations: readonly MigrationView[], columns: number): string {
  if (migrations.length === 0) return 'No bot was moved yet. bunkhouse migrate shows which could be.\n';
  const rows = migrations.map((migration) => [
    migration.id,
    migration.phase,
    migration.since,
    migration.secondsDown === null ? '-' : duration(Math.ceil(migration.secondsDown)),
    migration.source.name,
    removalText(migration),
    concern(migration),
  ]);
  return table(['BOT', 'PHASE', 'SINCE', 'AWAY', 'OLD', 'REMOVED', 'REASON'], rows, columns);
}

/** One migration in full. */
export function migrationText(migration: MigrationView): string {
  const { before, after } = migration.proof;
  return facts([
    ['bot', migration.id],
    ['phase', `${migration.phase}, since ${migration.since}`],
    ['old', `${migration.source.kind} ${migration.source.name}${policyText(migration)}`],
    ['owner', migration.owner],
    ['template', migration.template],
    ['begun', migration.beganAt],
    ['ended', migration.endedAt ?? 'not yet'],
    ['away', migration.secondsDown === null ? '-' : `${migration.secondsDown.toFixed(1)} s`],
    ['before', proofText(before)],
    ['after', proofText(after)],
    ['backup', migration.backup ?? 'none'],
    ...(migration.carried === null ? [] : ([['carried back', migration.carried]] as const)),
    ['removed', removalText(migration)],
    ...(migration.why === '' ? [] : ([['why', migration.why]] as const)),
    ...(migration.held === '' ? [] : ([['held up', migration.held]] as const)),
    ...migration.notes.map((note) => ['note', note] as const),
  ]);
}

/** How a migration ended, with what is to be known of it. */
export function endLines(migration: MigrationView): readonly string[] {
  return [endLine(migration), ...migration.notes.map((note) => `    ${note}`)];
}

/** What was not begun, each with what stands in its way. */
export function refusedText(refused: readonly Candidate[]): string {
  return refused
    .flatMap(({ id, problems }) =>
      problems
        .filter(({ blocking }) => blocking)
        .map(
          ({ code, message, advice }) =>
            `✗ ${plain(id)}: not touched: ${plain(`${message} (${code})`)}\n    ${plain(advice)}\n`,
        ),
    )
    .join('');
}

export function summaryText({ migrations, refused }: Outcome): string {
  const moved = migrations.filter(isMoved);
  const failed = migrations.length - moved.length;
  if (migrations.length + refused.length === 0) return 'Nothing to move was found.\n';
  const parts = [`${count(moved.length, 'bot')} moved`];
  if (failed > 0) parts.push(`${failed} went back`);
  if (refused.length > 0) parts.push(`${refused.length} not touched`);
  const [first] = moved.filter(({ phase }) => phase === 'done');
  const next =
    first === undefined
      ? ''
      : `The old containers are kept, stopped. Back: bunkhouse migrate --rollback ${first.id}; for good: bunkhouse migrate --finish ${first.id}\n`;
  return `${parts.join(', ')}.\n${next}`;
}

// Private

function endLine({ id, phase, secondsDown, why }: MigrationView): string {
  const away = secondsDown === null ? 'it did not run' : `${secondsDown.toFixed(1)} s away`;
  switch (phase) {
    case 'done':
      return `✓ ${id}: moved, ${away}`;
    case 'finished':
      return `✓ ${id}: the old one is gone for good`;
    case 'rolled-back':
      return `✓ ${id}: back in its old container, ${away}`;
    default:
      return `✗ ${id}: not moved, it is as it was before: ${why}`;
  }
}

function policyText({ ranBefore, restartPolicy }: MigrationView): string {
  if (ranBefore === null) return '';
  return `, ${ranBefore ? 'ran' : 'did not run'}${restartPolicy === null ? '' : `, restart ${restartPolicy.name}`}`;
}

function proofText(found: MigrationView['proof']['before']): string {
  if (found === null) return '-';
  const tables = Object.entries(found.tables)
    .filter(([, { rows }]) => rows > 0)
    .map(([name, { rows, last }]) => `${name} ${rows} rows${last === null ? '' : `, last ${last}`}`);
  return [...tables, answersText(found.answers)].filter((part) => part !== '').join('; ');
}

function removalText({ phase, removesAt }: MigrationView): string {
  if (phase === 'finished') return 'yes';
  return removesAt ?? (phase === 'done' ? 'when asked' : '-');
}

const concern = ({ why, held }: MigrationView): string => (held === '' ? why : `held up: ${held}`);
