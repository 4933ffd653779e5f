import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { createFolderVault } from '../../lib/backup/folder.ts';
import { createInspector } from '../../lib/backup/sqlite-inspector.ts';
import type { Vault } from '../../lib/backup/vault.ts';
import { BunkhouseError } from '../../lib/domain/errors.ts';
import type { Locations } from '../../lib/domain/location.ts';
import type { HealthCheck, LeaseRule, Template } from '../../lib/domain/template.ts';
import type { Driver } from '../../lib/drivers/driver.ts';
import type { ForeignHost } from '../../lib/drivers/foreign-host.ts';
import { MemoryForeignHost } from '../../lib/drivers/memory/foreign.ts';
import { MemoryWorld } from '../../lib/drivers/memory/world.ts';
import { MemoryDriver } from '../../lib/drivers/memory.ts';
import { createEventLog, type EventLog } from '../../lib/events/event-log.ts';
import type { CheckResult, Prober } from '../../lib/probes/probe.ts';
import { type Accounts, openAccounts } from '../../lib/services/accounts.ts';
import { Backups } from '../../lib/services/backups.ts';
import type { Dependencies } from '../../lib/services/dependencies.ts';
import { Leases } from '../../lib/services/leases.ts';
import { Migrations } from '../../lib/services/migrations.ts';
import { PoolIntegration } from '../../lib/services/pool-integration.ts';
import { Reconciler } from '../../lib/services/reconciler.ts';
import { Shelf } from '../../lib/services/shelf.ts';
import { Upgrades } from '../../lib/services/upgrades.ts';
import { openFileStore } from '../../lib/store/file-store.ts';
import type { Store } from '../../lib/store/store.ts';
import { createUsageFiles } from '../../lib/store/usage-files.ts';
import { type Clock, systemClock as clock } from '../../lib/util/clock.ts';
import { silentLogger } from '../../lib/util/logger.ts';
import { aTemplate } from '../planner/builders.ts';
import { BY_PATH } from '../support/addresses.ts';
import { lookHere } from '../support/look-here.ts';
import { makeTempDir, removeDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';

export const ADMIN = { role: 'admin' } as const;
const NEVER_MS = 1_000_000_000;

/** Bots of the memory driver have no sockets: this answers for them, as the test says. */
export class StagedProber implements Prober {
  readonly answers = new Map<number, CheckResult>();
  readonly calls: string[] = [];

  /** Paths that do not answer as they should, on any port. */
  readonly busy = new Set<string>();

  async check(address: { readonly port: number }, checks: readonly HealthCheck[]): Promise<CheckResult> {
    if (checks.some((check) => check.kind === 'http' && this.busy.has(check.path)))
      return { ok: false, reason: 'busy' };
    return this.answers.get(address.port) ?? { ok: true, reason: '' };
  }

  async call(address: { readonly port: number }, call: { readonly path: string }): Promise<void> {
    this.calls.push(`${address.port}${call.path}`);
  }

  /** What bots on these ports answer, by path. */
  readonly facts = new Map<number, (path: string) => unknown>();

  async ask({ port }: { readonly port: number }, { path }: { readonly path: string }): Promise<unknown> {
    const answer = this.facts.get(port);
    if (answer === undefined) throw new BunkhouseError('BOT_UNAVAILABLE', `nobody answers on ${port}`);
    return answer(path);
  }

  async close(): Promise<void> {}
}

/** Opens a store that belongs to the machine with this folder. */
export type OpenStore = (folder: string) => Promise<Store>;

const inFile: OpenStore = (folder) => openFileStore({ path: join(folder, 'state.json'), clock, log: silentLogger });

/** What outlives an orchestrator: its disk, the machine, and what answers on the bots' ports. */
export class Machine implements AsyncDisposable {
  readonly folder: string;
  readonly world = new MemoryWorld(clock);
  readonly prober = new StagedProber();
  readonly templates: Map<string, Template>;
  /** Of leases of one owner. */
  quotas: { hourly: number | null; daily: number | null } = { hourly: null, daily: null };
  door: Dependencies['door'] = null;
  /** By how much somebody has set the clock. */
  skewMs = 0;
  /** Whether new bots share containers. */
  poolMode = true;
  consolidateMovesPerHour = 0;
  /** Leasable bots of a template. */
  most = 100;
  readonly #openStore: OpenStore;
  #store: Promise<Store> | null = null;
  readonly #accounts: Accounts[] = [];

  private constructor(folder: string, templates: readonly Template[], openStore: OpenStore) {
    this.folder = folder;
    this.templates = new Map(templates.map((template) => [template.name, template]));
    this.#openStore = openStore;
  }

  static async make(
    templates: readonly Template[] = [quickTemplate()],
    openStore: OpenStore = inFile,
  ): Promise<Machine> {
    return new Machine(await makeTempDir(), templates, openStore);
  }

  store(): Promise<Store> {
    this.#store ??= this.#openStore(this.folder);
    return this.#store;
  }

  /** The store as the next orchestrator finds it: read anew. */
  async reopened(): Promise<Store> {
    await (await this.#store)?.close();
    this.#store = null;
    return this.store();
  }

  /** `wrap` goes around the folders. */
  shelves(wrap: (vault: Vault) => Vault = (vault) => vault): Shelves {
    const newId = (): string => randomUUID();
    const shelf = (name: string): Shelf =>
      new Shelf({ vault: wrap(createFolderVault(join(this.folder, name))), clock, log: silentLogger, newId });
    return { archives: shelf('archives'), backups: shelf('backups'), carried: shelf('moves') };
  }

  foreign(): ForeignHost {
    return new MemoryForeignHost(this.world);
  }

  async accounts(): Promise<Accounts> {
    const store = createUsageFiles({ folder: join(this.folder, 'usage'), clock, log: silentLogger });
    const accounts = await openAccounts({ store, clock, log: silentLogger, onUsage: () => {} });
    this.#accounts.push(accounts);
    return accounts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.world.close();
    await (await this.#store)?.close();
    // Those of orchestrators that were killed in a test would go on writing.
    for (const accounts of this.#accounts) await accounts.close();
    await removeDir(this.folder);
  }
}

export interface Shelves {
  readonly archives: Shelf;
  readonly backups: Shelf;
  readonly carried: Shelf;
}

interface Parts extends Shelves {
  readonly driver: Driver;
  readonly store: Store;
  readonly accounts: Accounts;
  readonly foreign?: ForeignHost;
  /** `local` alone when left out. */
  readonly locations?: Locations;
  readonly unreachable?: () => ReadonlyMap<string, string>;
}

/** One life of the orchestrator on a machine. */
export class System implements AsyncDisposable {
  readonly machine: Machine;
  readonly reconciler: Reconciler;
  readonly api: PoolIntegration;
  readonly leases: Leases;
  readonly backups: Backups;
  readonly upgrades: Upgrades;
  readonly migrations: Migrations;
  readonly events: EventLog;
  readonly store: Store;
  readonly accounts: Accounts;

  constructor(machine: Machine, { accounts, ...parts }: Parts) {
    this.accounts = accounts;
    this.machine = machine;
    this.store = parts.store;
    this.events = createEventLog({ clock, capacity: 1000 });
    const skewed: Clock = { ...clock, now: () => clock.now() + machine.skewMs };
    const deps: Dependencies = {
      locations: { default: 'local', all: ['local'] },
      unreachable: () => new Map(),
      at: () => parts.driver,
      ...parts,
      prober: machine.prober,
      templates: machine.templates,
      limits: {
        poolMode: machine.poolMode,
        instanceName: 'test',
        maxBotsPerContainer: 3,
        basePort: 9000,
        bindHost: () => '127.0.0.1',
        consolidateMovesPerHour: machine.consolidateMovesPerHour,
      },
      containerLimits: { memoryBytes: null, cpus: null, processes: null },
      reserve: {
        target: 0,
        locationTargets: new Map(),
        min: 0,
        max: machine.most,
        batchSize: 10,
        batchSpacingSeconds: 0,
      },
      newId: () => randomUUID().replaceAll('-', ''),
      clock: skewed,
      random: () => 0,
      log: silentLogger,
      secret: () => randomUUID(),
      events: this.events,
      door: machine.door,
      alone: accounts.alone,
      foreign: machine.foreign(),
      inspector: createInspector(lookHere, machine.folder),
      spool: join(machine.folder, 'migrating'),
      spaces: [machine.folder],
      ...(parts.foreign === undefined ? {} : { foreign: parts.foreign }),
    };
    this.reconciler = new Reconciler(deps);
    this.reconciler.onPicture((world) => accounts.observe(world));
    const options = { defaultTemplate: 'echo', addresses: BY_PATH };
    this.api = new PoolIntegration(deps, this.reconciler, options);
    this.upgrades = new Upgrades(deps, this.reconciler, options);
    this.backups = new Backups(deps, this.reconciler, {
      ...options,
      schedule: null,
      spreadMs: 0,
      keep: { last: 3, daily: 0, weekly: 0 },
      parallel: 2,
      keepDeletedDays: null,
    });
    this.migrations = new Migrations(deps, this.reconciler, options);
    this.leases = new Leases(deps, this.reconciler, {
      ...options,
      ...machine.quotas,
      onAcquired: () => {},
    });
  }

  static async start(machine: Machine, shelves: Shelves = machine.shelves()): Promise<System> {
    const driver = new MemoryDriver({ clock, world: machine.world });
    const accounts = await machine.accounts();
    const system = new System(machine, {
      driver,
      store: await machine.store(),
      ...shelves,
      accounts,
    });
    await system.reconciler.start(NEVER_MS);
    system.backups.start();
    return system;
  }

  states(): Record<string, string> {
    return Object.fromEntries(this.api.listBots(ADMIN, {}).bots.map((bot) => [bot.instanceId, bot.state]));
  }

  async until(states: Record<string, string>): Promise<void> {
    const wanted = JSON.stringify(Object.entries(states).sort());
    await waitFor(
      `bots ${wanted}`,
      () => {
        const seen = JSON.stringify(Object.entries(this.states()).sort());
        if (seen !== wanted) throw new Error(`they are ${seen}`);
        return true;
      },
      5000,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.backups.close();
    this.migrations.close();
    await this.reconciler.close();
    await this.accounts.close();
  }
}

/** Everything about it happens within milliseconds. */
export function quickTemplate(overrides: Partial<Template> = {}): Template {
  return aTemplate({ backoff: { minSeconds: 0.02, maxSeconds: 0.1, healthySeconds: 60 }, ...overrides });
}

/** Leasable: a few warm ones at once, and cleaned between two leases. */
export function leasedTemplate(lease: Partial<LeaseRule> = {}, overrides: Partial<Template> = {}): Template {
  return quickTemplate({
    lease: {
      ttlSeconds: 60,
      maxTtlSeconds: 600,
      perOwner: null,
      access: {},
      reserve: { target: 3, locations: {}, min: 3, batchSize: 10, batchSpacingSeconds: 0, windows: [] },
      reset: {
        steps: [{ kind: 'clear', keep: [] }],
        verify: [{ kind: 'exec', command: ['true'], stdin: '', timeoutSeconds: 5 }],
      },
      ...lease,
    },
    ...overrides,
  });
}
