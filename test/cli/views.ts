import type { BotView, ContainerView, PoolStatus } from '../../lib/services/pool-api.ts';

/** Views as the API shows them, for tests of what the command line makes of them. */

const MIB = 1 << 20;

export const memory = (pss: number, own: number, swapped = 0) => ({
  pssBytes: pss * MIB,
  rssBytes: 2 * pss * MIB,
  privateBytes: own * MIB,
  sharedBytes: (2 * pss - own) * MIB,
  swapBytes: swapped * MIB,
});

export function aBotView(instanceId: string, more: Partial<BotView> = {}): BotView {
  return {
    instanceId,
    owner: 'ann',
    template: 'echo',
    pool: 'echo/default/local',
    mode: 'pooled',
    legacy: null,
    container: 'c-1',
    slot: 0,
    port: 9000,
    pid: 7,
    url: `/bots/${instanceId}/`,
    state: 'running',
    desired: 'running',
    since: null,
    restarts: 0,
    memory: memory(40, 30),
    cpuSeconds: 10,
    openFiles: 12,
    diskBytes: null,
    spawn: { kind: 'prefork', reason: '' },
    warning: '',
    status: 'Trading',
    reason: '',
    deleting: false,
    createdAt: '2026-05-01T10:00:00.000Z',
    move: null,
    files: [],
    ...more,
  };
}

export function aContainerView(id: string, bots: readonly BotView[], more: Partial<ContainerView> = {}): ContainerView {
  return {
    id,
    template: 'echo',
    group: 'default',
    location: 'local',
    driver: 'process',
    containerName: id,
    status: 'running',
    reason: '',
    mode: 'pooled',
    legacy: null,
    emptying: null,
    image: null,
    botsCount: bots.length,
    capacity: 10,
    utilizationPercent: 10 * bots.length,
    memory: memory(200, 100),
    zygotes: [],
    services: [],
    cgroups: { made: true, reason: '' },
    bots: bots.map((bot) => ({ ...bot, slot: bot.slot ?? 0, port: bot.port ?? 0 })),
    ...more,
  };
}

export function aZygoteView(more: Partial<ContainerView['zygotes'][number]> = {}): ContainerView['zygotes'][number] {
  return {
    key: 'k',
    state: 'ready',
    pid: 5,
    reason: '',
    python: '3.13.0',
    modules: 900,
    immortal: true,
    merge: false,
    notes: [],
    starts: 1,
    forks: 2,
    memory: memory(60, 10),
    ...more,
  };
}

export function aServiceView(more: Partial<ContainerView['services'][number]> = {}): ContainerView['services'][number] {
  return {
    name: 'mariadb',
    state: 'running',
    pid: 6,
    startedAt: 1,
    readyAt: 2,
    nextStartAt: null,
    restarts: 0,
    lastExit: null,
    status: '',
    memory: memory(90, 80),
    cpuSeconds: 1,
    openFiles: 20,
    diskBytes: null,
    outdated: false,
    reason: '',
    warning: '',
    ...more,
  };
}

export function aStatus(pools: readonly ContainerView[], more: Partial<PoolStatus> = {}): PoolStatus {
  return {
    poolMode: true,
    locations: [{ name: 'local', title: null, default: true, reachable: true, reason: '' }],
    totalPools: pools.length,
    totalBots: pools.reduce((sum, { botsCount }) => sum + botsCount, 0),
    pools,
    memory: memory(200, 100),
    onePerContainer: null,
    health: {
      status: 'healthy',
      pools: { total: pools.length, running: pools.length },
      bots: {} as PoolStatus['health']['bots'],
      lastCheck: null,
    },
    ...more,
  };
}
