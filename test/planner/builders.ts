import type { AgentObservation, BotObservation } from '../../lib/domain/agent.ts';
import type { BotRecord } from '../../lib/domain/bot.ts';
import type { ContainerObservation, ContainerRecord } from '../../lib/domain/container.ts';
import type { MigrationPhase, MigrationRecord } from '../../lib/domain/migration.ts';
import { emptyState, type State } from '../../lib/domain/state.ts';
import { Table } from '../../lib/domain/table.ts';
import type { ExecStep, Service, Template } from '../../lib/domain/template.ts';
import type { World } from '../../lib/planner/world.ts';

export const NOW = Date.UTC(2026, 0, 1);

export function aTemplate(overrides: Partial<Template> = {}): Template {
  return {
    name: 'echo',
    version: 'v1',
    description: '',
    image: null,
    mode: 'pooled',
    legacy: { image: null },
    command: ['echo-bot', '--port', '{{port}}'],
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
    backoff: { minSeconds: 1, maxSeconds: 300, healthySeconds: 60 },
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
    prefork: null,
    backup: { schedule: null, keep: null },
    move: { deadlineSeconds: null, headers: {}, facts: {} },
    discovery: null,
    capacity: null,
    services: {},
    holdBack: null,
    ...overrides,
  };
}

export function aService(overrides: Partial<Service> = {}): Service {
  const { stop, limits } = aTemplate();
  return {
    command: ['db', '--data={{service.dir}}'],
    env: {},
    files: [],
    readiness: { kind: 'process', startupSeconds: 60, watchdogSeconds: null },
    stop,
    backoff: { minSeconds: 0.02, maxSeconds: 0.1, healthySeconds: 60 },
    limits,
    provision: [],
    deprovision: [],
    archive: [],
    ...overrides,
  };
}

export const aStep = (...command: string[]): ExecStep => ({ kind: 'exec', command, stdin: '', timeoutSeconds: 30 });

export function aBot(instanceId: string, overrides: Partial<BotRecord> = {}): BotRecord {
  return {
    instanceId,
    template: 'echo',
    owner: 'alice',
    group: 'default',
    location: 'local',
    desired: 'running',
    deleting: false,
    archive: null,
    restore: null,
    move: null,
    legacy: null,
    files: {},
    env: {},
    args: [],
    limits: {},
    secrets: {},
    placement: null,
    generation: 1,
    restartGeneration: 1,
    desiredGeneration: 1,
    controlledGeneration: 0,
    reserve: null,
    createdAt: '2026-01-01T00:00:00.000Z',
    ...overrides,
  };
}

export function aContainer(name: string, overrides: Partial<ContainerRecord> = {}): ContainerRecord {
  return {
    name,
    pool: 'echo/default/local',
    capacity: 3,
    basePort: 9000,
    generation: 1,
    image: null,
    removing: false,
    soleBot: null,
    emptying: null,
    entered: true,
    createdAt: '2026-01-01T00:00:00.000Z',
    ...overrides,
  };
}

export function observedContainer(
  record: ContainerRecord,
  status: ContainerObservation['status'] = 'running',
): ContainerObservation {
  const { name, pool, generation, capacity, basePort } = record;
  return { name, pool, generation, capacity, basePort, status, host: '127.0.0.1', reason: '' };
}

export function observedBot(bot: BotRecord, overrides: Partial<BotObservation> = {}): BotObservation {
  return {
    bot: bot.instanceId,
    slot: bot.placement?.slot ?? 0,
    port: bot.placement?.port ?? 0,
    generation: bot.generation,
    run: true,
    limits: aTemplate().limits,
    state: 'running',
    pid: 100,
    startedAt: 1,
    readyAt: 2,
    startedGeneration: bot.generation,
    nextStartAt: null,
    restarts: 0,
    lastExit: null,
    status: '',
    listener: 'self',
    memory: null,
    cpuSeconds: null,
    openFiles: null,
    diskBytes: null,
    spawn: { kind: 'exec', reason: '' },
    marks: null,
    reason: '',
    warning: '',
    ...overrides,
  };
}

export function anAgent(bots: readonly BotObservation[], directories?: readonly string[]): AgentObservation {
  return {
    incarnation: 'i1',
    cursor: 1,
    protocol: 3,
    python: '3.11.2',
    isolatesUsers: true,
    overhead: null,
    directory: '/box',
    zygotes: [],
    services: [],
    cgroups: { made: false, reason: '' },
    bots,
    directories: directories ?? bots.map((bot) => bot.bot),
    dormant: [],
    serviceDirectories: [],
  };
}

export function aState(bots: readonly BotRecord[], containers: readonly ContainerRecord[] = []): State {
  return {
    ...emptyState('test'),
    generation: 100,
    bots: Table.from(bots.map((bot) => [bot.instanceId, bot])),
    containers: Object.fromEntries(containers.map((container) => [container.name, container])),
  };
}

export function aWorld(overrides: Partial<World> = {}): World {
  return {
    now: NOW,
    monotonic: NOW,
    state: aState([]),
    templates: new Map([['echo', aTemplate()]]),
    listing: { kind: 'seen', value: new Map() },
    unreachable: new Map(),
    agents: new Map(),
    health: new Map(),
    blockedPorts: new Set(),
    busy: new Set(),
    holds: new Map(),
    failures: new Map(),
    restartHolds: new Map(),
    reserves: new Map(),
    shut: new Map(),
    holdBacks: new Map(),
    leaseClock: NOW,
    limits: {
      poolMode: true,
      instanceName: 'bunkhouse',
      maxBotsPerContainer: 3,
      basePort: 9000,
      bindHost: () => '127.0.0.1',
      consolidateMovesPerHour: 0,
    },
    ...overrides,
  };
}

/** A world with one running container that reports these bots. */
export function worldWith(
  bots: readonly BotRecord[],
  container: ContainerRecord,
  agent: AgentObservation | 'unknown',
  overrides: Partial<World> = {},
): World {
  return aWorld({
    state: aState(bots, [container]),
    listing: { kind: 'seen', value: new Map([[container.name, observedContainer(container)]]) },
    agents: new Map([
      [container.name, agent === 'unknown' ? { kind: 'unknown', reason: 'no answer' } : { kind: 'seen', value: agent }],
    ]),
    ...overrides,
  });
}

/** Where the bots made here are. */
export const ECHO_HERE = { template: 'echo', location: 'local' };

export const inSlot = (container: ContainerRecord, slot: number): BotRecord['placement'] => ({
  container: container.name,
  slot,
  port: container.basePort + slot,
});

/** Of a bot that ran in its old container. */
export function aMigration(phase: MigrationPhase, overrides: Partial<MigrationRecord> = {}): MigrationRecord {
  return {
    instanceId: 'a',
    template: 'echo',
    owner: 'alice',
    source: { kind: 'container', name: 'echo-a', id: 'one' },
    phase,
    since: new Date(NOW - 1000).toISOString(),
    beganAt: new Date(NOW - 5000).toISOString(),
    endedAt: null,
    parallel: 2,
    keepDays: null,
    database: null,
    old: { ran: true, restartPolicy: null },
    backup: null,
    before: null,
    after: null,
    ran: false,
    carried: null,
    downSince: null,
    upSince: null,
    why: '',
    notes: [],
    ...overrides,
  };
}
