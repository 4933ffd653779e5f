import { BunkhouseError, hasCode, messageOf } from '../domain/errors.ts';
import { botUrl } from '../domain/hosts.ts';
import { isUnderWay, type MigrationRecord } from '../domain/migration.ts';
import { migrationLane } from '../domain/steps.ts';
import type { Deployment } from '../drivers/foreign-host.ts';
import { matchDeployment } from '../planner/discovery.ts';
import { planMigrations } from '../planner/migrations.ts';
import { isoTime } from '../util/clock.ts';
import { mapLimited } from '../util/limit.ts';
import type { Dependencies } from './dependencies.ts';
import { type CandidateParts, candidateOf, type Destination, deploymentView } from './legacy-candidates.ts';
import { isItself } from './legacy-life.ts';
import type { Matched } from './legacy-look.ts';
import type {
  Candidate,
  ForeignContainer,
  MigrationAnswer,
  MigrationApi,
  MigrationFilter,
  MigrationOverview,
  MigrationRequest,
  MigrationView,
} from './migration-api.ts';
import { addMigrations, findMigration, turnMigration, undoMigration } from './migration-changes.ts';
import { estimateDown } from './migration-estimate.ts';
import { tellPhase } from './migration-tools.ts';
import type { PoolOptions } from './pool-api.ts';
import type { Reconciler } from './reconciler.ts';
import { Revenants } from './revenants.ts';

const LOOKS_AT_ONCE = 4;
const PARALLEL = 2;
const DAY_MS = 86_400_000;

interface Found {
  readonly matched: readonly { readonly deployment: Deployment; readonly match: Matched }[];
  readonly foreign: readonly ForeignContainer[];
  readonly trouble: readonly string[];
}

/** The use cases of migrations over store, reconciler and the host of foreign deployments. */
export class Migrations implements MigrationApi {
  readonly #deps: Dependencies;
  readonly #reconciler: Reconciler;
  readonly #options: PoolOptions;
  readonly #revenants: Revenants;
  readonly #abort = new AbortController();

  constructor(deps: Dependencies, reconciler: Reconciler, options: PoolOptions) {
    this.#deps = deps;
    this.#reconciler = reconciler;
    this.#options = options;
    this.#revenants = new Revenants(deps);
  }

  /** Watches that what must be dead stays so. */
  start(): void {
    void this.#revenants.watch(this.#abort.signal);
  }

  close(): void {
    this.#abort.abort();
  }

  lookForRevenants(): Promise<void> {
    return this.#revenants.look();
  }

  async overview({ from, only }: MigrationFilter): Promise<MigrationOverview> {
    const { matched, foreign, trouble } = await this.#look(from ?? null);
    const { candidates, trouble: more } = await this.#candidates(matched, only);
    const migrations = this.#records().map((record) => this.#view(record));
    return { candidates, migrations, foreign, trouble: [...trouble, ...more] };
  }

  async begin({ from, only, parallel = PARALLEL, keepDays }: MigrationRequest): Promise<MigrationAnswer> {
    const { matched, trouble } = await this.#look(from ?? null);
    const { candidates, trouble: more } = await this.#candidates(matched, only);
    this.#refuseUnknown(only ?? [], candidates, [...trouble, ...more]);
    const now = isoTime(this.#deps.clock.now());
    const ready = candidates.filter((candidate) => candidate.ready);
    const records = ready.map((candidate) =>
      recordOf(candidate, matched, { now, parallel, keepDays: keepDays ?? null }),
    );
    const begun = await this.#deps.store.update(addMigrations(records));
    const again = (only ?? []).flatMap((id) => this.#deps.store.current().migrations.get(id) ?? []);
    this.#reconciler.request();
    const shown = new Map([...begun, ...again].map((record) => [record.instanceId, record]));
    return {
      migrations: [...shown.values()].map((record) => this.#view(record)),
      refused: candidates.filter((candidate) => !candidate.ready),
    };
  }

  get(id: string): MigrationView {
    return this.#view(findMigration(this.#deps.store.current(), id));
  }

  async rollback(id: string): Promise<MigrationView> {
    const record = findMigration(this.#deps.store.current(), id);
    const { phase } = record;
    if (phase === 'finished' || phase === 'clearing')
      throw new BunkhouseError('CONFLICT', `${id} is finished: its old container is gone`);
    if (!isUnderWay(record) && phase !== 'done')
      throw new BunkhouseError('CONFLICT', `${id} is back already (${phase})`);
    if (phase === 'leaving' || phase === 'returning' || phase === 'removing' || phase === 'reviving')
      return this.#view(record);
    if (phase === 'done' && (await this.#isGone(record)))
      throw new BunkhouseError('CONFLICT', `${id} cannot go back: the old one was removed; its bot stays in the pool`);
    const after = await this.#deps.store.update(undoMigration(id, phase, '', isoTime(this.#deps.clock.now())));
    if (after === null)
      throw new BunkhouseError('CONFLICT', `${id} has just gone on; ask again`, { retryAfterSeconds: 1 });
    return this.#entered(record, after);
  }

  async finish(id: string): Promise<MigrationView> {
    const record = findMigration(this.#deps.store.current(), id);
    if (record.phase === 'finished' || record.phase === 'clearing') return this.#view(record);
    if (record.phase !== 'done') {
      const next = isUnderWay(record) ? 'wait until it is done' : 'the bot lives in its old container';
      throw new BunkhouseError('CONFLICT', `${id} is ${record.phase}: ${next}`);
    }
    const after = await this.#deps.store.update(turnMigration(id, 'done', 'clearing', isoTime(this.#deps.clock.now())));
    return this.#entered(record, after ?? record);
  }

  // Private

  /** What cannot be asked is not known to be gone. */
  async #isGone({ source }: MigrationRecord): Promise<boolean> {
    try {
      return (await this.#deps.foreign.inspect(source)) === null;
    } catch (error) {
      if (hasCode(error, 'DRIVER_UNAVAILABLE') || hasCode(error, 'DEADLINE')) return false;
      throw error;
    }
  }

  #entered(before: MigrationRecord, after: MigrationRecord): MigrationView {
    tellPhase(this.#deps, before, after);
    this.#reconciler.request();
    return this.#view(after);
  }

  #records(): readonly MigrationRecord[] {
    return this.#deps.store.current().migrations.records;
  }

  /** All there is, each matched to a template, or known as a migration, or foreign. */
  async #look(from: string | null): Promise<Found> {
    const { foreign, templates } = this.#deps;
    const { found, trouble } = await foreign.list(from);
    const known = this.#records().filter(({ phase }) => !['failed', 'rolled-back', 'finished'].includes(phase));
    const matched: { deployment: Deployment; match: Matched }[] = [];
    const others: ForeignContainer[] = [];
    for (const deployment of found) {
      const record = known.find(({ source }) => isItself(source, deployment));
      const match = matchDeployment(deployment, templates);
      if (record === undefined && match.kind === 'match') matched.push({ deployment, match });
      const id = record?.instanceId ?? (match.kind === 'match' ? match.id : null);
      const why = record === undefined && match.kind === 'other' ? match.why : '';
      if (deployment.ref.kind === 'container') others.push({ ...deploymentView(deployment), id, why });
    }
    return { matched: withoutTwins(matched), foreign: others, trouble };
  }

  async #candidates(
    matched: Found['matched'],
    only: readonly string[] | undefined,
  ): Promise<{ readonly candidates: Candidate[]; readonly trouble: string[] }> {
    const wanted = matched.filter(({ match }) => only === undefined || only.includes(match.id));
    const trouble: string[] = [];
    const parts = this.#parts();
    const found = await mapLimited(wanted, LOOKS_AT_ONCE, async ({ deployment, match }) => {
      try {
        return await candidateOf(parts, deployment, match);
      } catch (error) {
        trouble.push(`${deployment.name} cannot be looked at: ${messageOf(error)}`);
        return null;
      }
    });
    const candidates = found.filter((candidate) => candidate !== null);
    return { candidates: candidates.map((candidate) => unlessTwice(candidate, candidates)), trouble };
  }

  #parts(): CandidateParts {
    const taken = new Map<string, number>();
    return {
      deps: this.#deps,
      destinationOf: (pool) => this.#destination(pool, taken),
      estimateOf: (template) => estimateDown({ template, records: this.#records(), world: this.#reconciler.world() }),
      urlOf: (id) => botUrl(id, this.#options.addresses),
    };
  }

  /** Candidates of one look are counted as if they had moved already. */
  #destination(pool: string, taken: Map<string, number>): Destination {
    const { bots, containers } = this.#deps.store.current();
    const room = Object.values(containers).find(({ name, pool: of, capacity, removing, emptying, soleBot }) => {
      if (of !== pool || removing || emptying !== null || soleBot !== null) return false;
      const inside = bots.records.filter(({ placement }) => placement?.container === name).length;
      return inside + (taken.get(name) ?? 0) < capacity;
    });
    if (room === undefined)
      return { pool, container: null, note: 'a new container is made for it, or one that is made for others' };
    taken.set(room.name, (taken.get(room.name) ?? 0) + 1);
    return { pool, container: room.name, note: 'there is a free slot' };
  }

  #refuseUnknown(only: readonly string[], candidates: readonly Candidate[], trouble: readonly string[]): void {
    const { migrations } = this.#deps.store.current();
    const missing = only.filter((id) => !candidates.some((candidate) => candidate.id === id) && !migrations.has(id));
    if (missing.length === 0) return;
    const because = trouble.length === 0 ? '' : ` (${trouble.join('; ')})`;
    const next = 'look at the dry run: bunkhouse migrate';
    throw new BunkhouseError('NOT_FOUND', `there is nothing to bring over as ${missing.join(', ')}${because}; ${next}`);
  }

  #view(record: MigrationRecord): MigrationView {
    const { source, old, before, after, downSince, upSince, keepDays, endedAt, phase } = record;
    const down =
      downSince === null || old?.ran !== true
        ? null
        : (upSince === null ? this.#deps.clock.now() : Date.parse(upSince)) - Date.parse(downSince);
    return {
      id: record.instanceId,
      template: record.template,
      owner: record.owner,
      source: { kind: source.kind, name: source.kind === 'container' ? source.name : source.path },
      phase,
      since: record.since,
      beganAt: record.beganAt,
      endedAt,
      over: !isUnderWay(record),
      ranBefore: old?.ran ?? null,
      restartPolicy: old?.restartPolicy ?? null,
      secondsDown: down === null ? null : Math.max(0, Math.round(down / 100) / 10),
      why: record.why,
      held: this.#heldBy(record),
      notes: record.notes,
      proof: { before, after },
      backup: record.backup,
      carried: record.carried,
      removesAt:
        phase === 'done' && keepDays !== null && endedAt !== null
          ? isoTime(Date.parse(endedAt) + keepDays * DAY_MS)
          : null,
    };
  }

  #heldBy(record: MigrationRecord): string {
    if (!isUnderWay(record)) return '';
    const world = this.#reconciler.world();
    const failure = world.holds.get(migrationLane(record.instanceId))?.reason;
    if (failure !== undefined) return failure;
    const { held } = planMigrations(world);
    return held.find(({ target }) => target === record.instanceId)?.why ?? '';
  }
}

// Private

/** Ids are unique, whoever owns the bots. */
function unlessTwice(candidate: Candidate, all: readonly Candidate[]): Candidate {
  const other = all.find(({ id, source }) => id === candidate.id && source.name !== candidate.source.name);
  if (other === undefined) return candidate;
  const message = `${other.source.name} has the id ${candidate.id} too`;
  const advice = 'give one of the two another id, or look through one folder only';
  const problem = { code: 'ID_TAKEN', message, advice, blocking: true } as const;
  return { ...candidate, problems: [problem, ...candidate.problems], ready: false };
}

/** A folder whose container is there as well is that container. */
function withoutTwins(matched: Found['matched']): Found['matched'] {
  const ids = new Set(
    matched.filter(({ deployment }) => deployment.ref.kind === 'container').map(({ match }) => match.id),
  );
  return matched.filter(({ deployment, match }) => deployment.ref.kind === 'container' || !ids.has(match.id));
}

function recordOf(
  { id, template, owner, database }: Candidate,
  matched: Found['matched'],
  { now, parallel, keepDays }: { readonly now: string; readonly parallel: number; readonly keepDays: number | null },
): MigrationRecord {
  const source = matched.find(({ match }) => match.id === id)?.deployment.ref;
  if (source === undefined) throw new BunkhouseError('INTERNAL', `${id} was found nowhere`);
  return {
    instanceId: id,
    template,
    owner: owner ?? 'admin',
    source,
    phase: 'waiting',
    since: now,
    beganAt: now,
    endedAt: null,
    parallel,
    keepDays,
    database: database?.path ?? null,
    old: null,
    backup: null,
    before: null,
    after: null,
    ran: false,
    carried: null,
    downSince: null,
    upSince: null,
    why: '',
    notes: [],
  };
}
