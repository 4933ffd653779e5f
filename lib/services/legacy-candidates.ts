import { createHash } from 'node:crypto';
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { poolKey } from '../domain/bot.ts';
import { messageOf } from '../domain/errors.ts';
import { INSTANCE_ID, OWNER_ID } from '../domain/ids.ts';
import type { Deployment } from '../drivers/foreign-host.ts';
import { fileChunks, readPacked } from '../util/tree.ts';
import { addBot } from './bot-container-mapper.ts';
import { newBot } from './bots.ts';
import type { Dependencies } from './dependencies.ts';
import { contentOf, databaseParts, packParts } from './legacy-data.ts';
import { blocking, type LegacyLook, lookAtLegacy, type Matched } from './legacy-look.ts';
import type { Candidate, DatabaseView, DeploymentView, MigrationProblem } from './migration-api.ts';
import { inspected } from './migration-proof.ts';
import { inSpool } from './migration-tools.ts';

/** Looks in a row that must find a living database the same: then it was so all the time between. */
const LOOKS = 4;
/** Room for the archive, for the backup, and in the pool for the archive once more and what is in it. */
const COPIES = 4;

export interface Destination {
  readonly pool: string;
  readonly container: string | null;
  readonly note: string;
}

export interface CandidateParts {
  readonly deps: Dependencies;
  /** Where a bot would be placed now. */
  readonly destinationOf: (pool: string) => Destination;
  readonly estimateOf: (template: string) => Candidate['estimate'];
  readonly urlOf: (id: string) => string;
}

/** Everything a dry run tells of one deployment. Changes nothing. Throws what says that it cannot be looked at. */
export async function candidateOf(parts: CandidateParts, deployment: Deployment, match: Matched): Promise<Candidate> {
  const { foreign } = parts.deps;
  const look = await lookAtLegacy(foreign, deployment, match);
  const database = await databaseOf(parts.deps, look);
  const bytes = await bytesOf(parts.deps, look, database);
  const problems = [
    ...idProblems(parts, look),
    ...lifeProblems(look),
    ...look.problems,
    ...databaseProblems(look, database),
    ...(await portProblems(parts, look)),
    ...(await spaceProblems(parts.deps, look, bytes)),
  ];
  const { template, rule, id } = match;
  const destination = parts.destinationOf(poolOf(parts.deps, look));
  return {
    id,
    template: template.name,
    owner: look.owner,
    source: deploymentView(deployment),
    config: {
      path: rule.paths[rule.config.path] ?? '',
      bytes: look.configBytes?.length ?? 0,
      valid: look.config !== undefined,
    },
    database,
    args: look.args,
    destination,
    steps: stepsOf(look, database, destination),
    problems,
    ready: !problems.some((problem) => problem.blocking),
    estimate: parts.estimateOf(template.name),
  };
}

export function deploymentView(deployment: Deployment): DeploymentView {
  const { ref, name, image, command, state, restartPolicy, ports, mounts, startedAt } = deployment;
  return {
    kind: ref.kind,
    name: ref.kind === 'container' ? name : ref.path,
    path: folderOf(deployment),
    image,
    command,
    state,
    restartPolicy,
    ports,
    mounts,
    startedAt,
  };
}

// Private

function folderOf({ ref, labels, mounts }: Deployment): string | null {
  if (ref.kind === 'folder') return ref.path;
  const bind = mounts.find(({ kind }) => kind === 'bind');
  return labels['com.docker.compose.project.working_dir'] ?? (bind === undefined ? null : dirname(bind.source));
}

/** As the bot would be recorded; a pool that cannot be told is that of everybody. */
function poolOf(deps: Dependencies, look: LegacyLook): string {
  try {
    return poolKey(addBot(botOf(deps, look))(deps.store.current()).result);
  } catch {
    return `${look.match.template.name}/default/${deps.locations.default}`;
  }
}

function botOf(deps: Dependencies, look: LegacyLook): ReturnType<typeof newBot> {
  const { id: instanceId, template } = look.match;
  const request = { instanceId, template: template.name, owner: look.owner ?? 'admin', ...contentOf(look) };
  return newBot({ ...deps, defaultTemplate: template.name }, { role: 'admin' }, request);
}

function idProblems({ deps }: CandidateParts, look: LegacyLook): MigrationProblem[] {
  const { id } = look.match;
  const { bots } = deps.store.current();
  const problems: MigrationProblem[] = [];
  if (!INSTANCE_ID.test(id)) {
    const message = `${JSON.stringify(id)} is no id for a bot: 1 to 63 letters, digits, dots, dashes or underscores`;
    problems.push(blocking('ID_INVALID', message, 'rename the container (docker rename)'));
  } else if (bots.has(id)) {
    const advice = `delete that bot (bunkhouse bots delete ${id}) or rename the container`;
    problems.push(blocking('ID_TAKEN', `there is a bot ${id} already`, advice));
  }
  const advice = `name it in its configuration (${look.match.rule.config.owner ?? 'owner'})`;
  if (look.config !== undefined && look.owner === null)
    problems.push(blocking('OWNER_INVALID', 'nothing says whose it is', advice));
  else if (look.owner !== null && !OWNER_ID.test(look.owner))
    problems.push(blocking('OWNER_INVALID', `${JSON.stringify(look.owner)} is no name for an owner`, advice));
  if (problems.length > 0 || look.config === undefined) return problems;
  try {
    botOf(deps, look);
    return [];
  } catch (error) {
    return [blocking('SETTING_CHANGES', messageOf(error), 'correct its configuration, or bring the bot over by hand')];
  }
}

function lifeProblems({ deployment }: LegacyLook): MigrationProblem[] {
  const { state, note } = deployment;
  if (state === 'unknown') {
    const advice = 'look what the engine says of it (docker inspect) and start or stop it';
    return [blocking('STATE_UNKNOWN', `whether it lives cannot be told: ${note}`, advice)];
  }
  if (note.includes('paused'))
    return [blocking('STATE_UNKNOWN', 'it is paused', 'let it go on (docker unpause) or stop it')];
  if (state !== 'running' || note === '') return [];
  const advice = 'look at its output (docker logs); in the pool it would do the same, and go back';
  return [{ code: 'RESTARTS', message: note, advice, blocking: false }];
}

function databaseProblems({ database: place }: LegacyLook, database: DatabaseView | null): MigrationProblem[] {
  if (place === null || database === null) return [];
  if (database.damage !== '') {
    const advice = 'repair it (sqlite3 FILE .recover) or put a whole one in its place';
    return [blocking('DATABASE_DAMAGED', `${database.path} is damaged: ${database.damage}`, advice)];
  }
  if (database.facts !== null) return [];
  const advice = 'it is looked at once more when it is stopped; nothing need be done';
  const message = `${database.path} changed all the time, so what is in it cannot be told now`;
  return [{ code: 'DATABASE_UNREADABLE', message, advice, blocking: false }];
}

/** The way back must be open: a container whose port somebody else has could not be started again. */
async function portProblems({ deps, urlOf }: CandidateParts, look: LegacyLook): Promise<MigrationProblem[]> {
  const { ports, state } = look.deployment;
  const published = ports.map(({ hostPort }) => hostPort).filter((port) => port > 0);
  if (published.length === 0) return [];
  const bound = state === 'running' ? [] : await deps.foreign.boundPorts(published);
  const taken = bound.map((port) =>
    blocking(
      'PORT_TAKEN',
      `its port ${port} is held by somebody else, so it could not be started again if the move failed`,
      `find who has it (ss -ltnp 'sport = :${port}') and end that, or publish another port`,
    ),
  );
  const moves: MigrationProblem = {
    code: 'PORT_MOVES',
    message: `nobody will answer on port ${published.join(', ')} any more`,
    advice: `whoever calls it there is to call ${urlOf(look.match.id)}`,
    blocking: false,
  };
  return [...taken, moves];
}

async function spaceProblems(deps: Dependencies, look: LegacyLook, bytes: number): Promise<MigrationProblem[]> {
  const problems: MigrationProblem[] = [];
  const most = look.match.template.limits.diskBytes;
  if (most !== null && bytes > most) {
    const advice = 'remove what it does not need (old candles, logs), or raise limits.disk of the template';
    problems.push(blocking('NO_SPACE', `it has ${mib(bytes)}, and a bot may have ${mib(most)}`, advice));
  }
  for (const folder of deps.spaces) {
    const free = await freeBytes(folder);
    if (free === null || free >= bytes * COPIES) continue;
    const advice = `make room for ${mib(bytes * COPIES)} there`;
    problems.push(blocking('NO_SPACE', `${folder} has only ${mib(free)} free`, advice));
  }
  return problems;
}

const mib = (bytes: number): string => `${Math.ceil(bytes / (1 << 20))} MiB`;

/** Of the nearest folder above that is there; null: it cannot be told. */
async function freeBytes(folder: string): Promise<number | null> {
  for (let path = folder; ; path = dirname(path)) {
    try {
      const { bavail, bsize } = await statfs(path);
      return bavail * bsize;
    } catch {
      if (path === dirname(path)) return null;
    }
  }
}

/** Of everything that comes along, as far as that can be told without reading it. */
async function bytesOf(deps: Dependencies, look: LegacyLook, database: DatabaseView | null): Promise<number> {
  const { ref } = look.deployment;
  const sizes = await Promise.all(Object.values(look.match.rule.paths).map((path) => deps.foreign.sizeOf(ref, path)));
  const known = sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
  return Math.max(known, (database?.bytes ?? 0) + (database?.walBytes ?? 0));
}

/** Copies of a database that is being written to are good when two in a row are the same. */
async function databaseOf(deps: Dependencies, look: LegacyLook): Promise<DatabaseView | null> {
  const { database, match, deployment } = look;
  if (database === null) return null;
  const spool = `look-${createHash('sha256').update(match.id).digest('hex').slice(0, 16)}-${deps.newId()}`;
  return inSpool(deps, spool, async (file) => {
    let before = '';
    let sizes: ReadonlyMap<string, number> = new Map();
    for (let look = 0; look < LOOKS; look++) {
      await packParts(deps.foreign, deployment.ref, databaseParts(database), file);
      const copy = await contentsOf(file);
      sizes = copy.sizes;
      const isSame = copy.sha256 === before || deployment.state === 'stopped';
      before = copy.sha256;
      if (isSame)
        return viewOf(sizes, await inspected(deps.inspector, fileChunks(file), database.path, match.rule.database));
    }
    return viewOf(sizes, null);
  });

  function viewOf(
    sizes: ReadonlyMap<string, number>,
    found: Awaited<ReturnType<typeof inspected>> | null,
  ): DatabaseView {
    const path = database?.path ?? '';
    return {
      path,
      bytes: sizes.get(path) ?? 0,
      walBytes: sizes.get(`${path}-wal`) ?? 0,
      damage: found?.kind === 'damaged' ? found.why : '',
      facts: found?.kind === 'whole' ? found.facts : null,
    };
  }
}

/** Without the index of the log (`-shm`), which readers change too. */
async function contentsOf(
  file: string,
): Promise<{ readonly sha256: string; readonly sizes: ReadonlyMap<string, number> }> {
  const hash = createHash('sha256');
  const sizes = new Map<string, number>();
  for await (const { header, content } of readPacked(fileChunks(file))) {
    sizes.set(header.name, header.size);
    if (header.name.endsWith('-shm')) continue;
    hash.update(`${header.name} ${header.size}\n`);
    for await (const chunk of content) hash.update(chunk);
  }
  return { sha256: hash.digest('hex'), sizes };
}

function stepsOf(look: LegacyLook, database: DatabaseView | null, { container, pool }: Destination): string[] {
  const { match, deployment } = look;
  const { id, template, rule } = match;
  const runs = deployment.state === 'running';
  const policy = deployment.restartPolicy?.name;
  const rows = rule.database?.tables.map((table) => `${database?.facts?.tables[table]?.rows ?? '?'} ${table}`) ?? [];
  return [
    `make ${id}, stopped, in ${container ?? 'a new container'} (${pool})`,
    ...(policy === undefined ? [] : [`set the restart policy of ${deployment.name} from ${policy} to no`]),
    runs
      ? `stop ${deployment.name} (${template.stop.graceSeconds} s at the most) and see it dead`
      : 'see that it is dead',
    `copy ${Object.keys(rule.paths).join(', ')} into a backup${database === null ? '' : `, and check ${database.path} with its log`}`,
    `put that in place of the directory of ${id} and compare it${rows.length === 0 ? '' : ` to the last row (${rows.join(', ')})`}`,
    ...(runs ? [`start ${id} in the pool, and prove that it is well, who it is, and that no row is missing`] : []),
    `keep ${deployment.name}, stopped, until it is finished or rolled back`,
  ];
}
