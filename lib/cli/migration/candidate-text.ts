import type { Candidate, DatabaseView, DeploymentView, MigrationOverview } from '../../services/migration-api.ts';
import { count, duration, facts, mebibytes, plain, table } from '../text.ts';

type Fact = readonly [string, string];

/** What a dry run found and would do: each deployment in full, then all at a glance. */
export function dryRunText({ candidates, foreign, trouble }: MigrationOverview, columns: number): string {
  const strangers = foreign.filter(({ id }) => id === null);
  return [
    ...candidates.map(candidateText),
    candidates.length === 0 ? '' : glance(candidates, columns),
    strangers.length === 0
      ? ''
      : `Not touched: ${strangers.map(({ name, why }) => plain(`${name} (${why})`)).join(', ')}\n`,
    ...trouble.map((sentence) => `Not looked at: ${plain(sentence)}\n`),
    closing(candidates),
  ]
    .filter((part) => part !== '')
    .join('\n');
}

/** One deployment: what was found, what would be done, where it would go, what stands in the way, and for how long. */
export function candidateText(candidate: Candidate): string {
  const { id, source, steps, problems } = candidate;
  return [
    `${plain(id)}  (${candidate.ready ? 'can be moved' : 'cannot be moved'})\n`,
    indent(facts([...foundFacts(candidate), ...planFacts(candidate)])),
    steps.length === 0 ? '' : `  steps\n${steps.map((step, index) => `    ${index + 1}. ${plain(step)}\n`).join('')}`,
    ...problems.map(({ code, message, advice, blocking }) => {
      const what = blocking ? 'in the way' : 'to know';
      return `  ${what}: ${plain(message)} (${code})\n${advice === '' ? '' : `    ${plain(advice)}\n`}`;
    }),
    source.state === 'unknown' ? '  Whether it runs is not known, so nothing would be done to it.\n' : '',
  ].join('');
}

/** `openTrades 2, lastTrade 17`. */
export function answersText(answers: Readonly<Record<string, string | null>>): string {
  return Object.entries(answers)
    .map(([name, value]) => `${name} ${value ?? '-'}`)
    .join(', ');
}

// Private

function foundFacts({ template, owner, source, config, database, args }: Candidate): readonly Fact[] {
  const ports = source.ports.map(
    ({ host, hostPort, containerPort }) => `${host}${host && ':'}${hostPort}:${containerPort}`,
  );
  return [
    ['found', `${source.kind} ${source.name}, ${lifeText(source)}`],
    ...(source.path === null ? [] : ([['folder', source.path]] as const)),
    ...(source.kind === 'folder' ? [] : ([['image', `${source.image}: ${source.command.join(' ')}`]] as const)),
    ['ports', ports.join(', ') || 'none'],
    ...source.mounts.map(
      ({ source: from, target, readOnly }) =>
        ['mount', `${from} at ${target}${readOnly ? ', read-only' : ''}`] as const,
    ),
    ['owner', owner ?? 'not known'],
    ['template', `${template}${args.length === 0 ? '' : `, with ${args.join(' ')}`}`],
    ['config', `${config.path}, ${config.bytes} B, ${config.valid ? 'valid' : 'not valid'}`],
    ['database', databaseText(database)],
  ];
}

function planFacts({ destination, estimate }: Candidate): readonly Fact[] {
  const where = destination.container ?? 'a new container';
  return [
    ['goes to', `${where} of pool ${destination.pool}${destination.note === '' ? '' : `: ${destination.note}`}`],
    ['away', `${awayText(estimate.secondsDown)} (${estimate.basis})`],
  ];
}

function lifeText({ state, restartPolicy, startedAt }: DeploymentView): string {
  const since = startedAt === null ? '' : ` since ${startedAt}`;
  return `${state}${since}${restartPolicy === null ? '' : `, restart ${restartPolicy.name}`}`;
}

function databaseText(database: DatabaseView | null): string {
  if (database === null) return 'none';
  const size = `${database.path}, ${mebibytes(database.bytes)} and ${mebibytes(database.walBytes)} in its WAL`;
  if (database.damage !== '') return `${size}, damaged: ${database.damage}`;
  if (database.facts === null) return `${size}, could not be read`;
  const rows = Object.entries(database.facts.tables).flatMap(([name, { rows }]) =>
    rows === 0 ? [] : [`${rows} ${name}`],
  );
  return [size, ...rows, answersText(database.facts.answers)].filter((part) => part !== '').join(', ');
}

const awayText = (seconds: number | null): string =>
  seconds === null ? 'not known' : `about ${duration(Math.ceil(seconds))}`;

function glance(candidates: readonly Candidate[], columns: number): string {
  const rows = candidates.map(({ id, owner, source, database, estimate, problems }) => [
    id,
    owner ?? '-',
    source.state,
    database === null ? '-' : mebibytes(database.bytes + database.walBytes),
    database?.facts == null ? '-' : answersText(database.facts.answers) || '-',
    estimate.secondsDown === null ? '-' : `~${duration(Math.ceil(estimate.secondsDown))}`,
    problems.find(({ blocking }) => blocking)?.message ?? 'nothing',
  ]);
  return table(['BOT', 'OWNER', 'STATE', 'DATABASE', 'HOLDS', 'AWAY', 'IN THE WAY'], rows, columns);
}

function closing(candidates: readonly Candidate[]): string {
  if (candidates.length === 0)
    return 'Nothing to move was found. --from FOLDER looks through a folder OWNER/ID/ as well.\n';
  const ready = candidates.filter((candidate) => candidate.ready).length;
  const can = `${ready} of ${count(candidates.length, 'bot')} can be moved. This was a dry run: nothing was changed.\n`;
  return ready === 0 ? can : `${can}Move them: bunkhouse migrate --execute (with --only ID for some of them)\n`;
}

const indent = (text: string): string => text.replaceAll(/^(?=.)/gm, '  ');
