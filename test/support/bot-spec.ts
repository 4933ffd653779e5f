import type { BotSpec, ServiceSpec, ServiceUse } from '../../lib/domain/agent.ts';

/** A complete spec with short times; what matters to a test goes into the overrides. */
export function botSpec(bot: string, overrides: Partial<BotSpec> & Pick<BotSpec, 'slot' | 'port'>): BotSpec {
  return {
    bot,
    generation: 1,
    restartGeneration: 0,
    host: '127.0.0.1',
    run: true,
    command: ['/bin/false'],
    env: {},
    directories: [],
    files: [],
    readiness: { kind: 'notify', startupSeconds: 20, watchdogSeconds: null },
    stop: { signal: 'SIGTERM', graceSeconds: 5 },
    backoff: { minSeconds: 0.1, maxSeconds: 0.5, healthySeconds: 60 },
    limits: {
      memoryBytes: null,
      pssBytes: null,
      diskBytes: null,
      cpuWeight: 100,
      openFiles: null,
      processes: null,
      nice: 0,
    },
    prefork: null,
    services: [],
    secrets: [],
    marks: {},
    ...overrides,
  };
}

/** Readiness by a socket, whose path is to be added. */
export const SOCKET = { kind: 'socket', startupSeconds: 20, watchdogSeconds: null } as const;

/** A service with short times; what matters to a test goes into the overrides. */
export function serviceSpec(name: string, overrides: Partial<ServiceSpec> = {}): ServiceSpec {
  const { stop, backoff, limits } = botSpec('', { slot: 0, port: 1 });
  return {
    name,
    command: ['/bin/false'],
    env: {},
    files: [],
    readiness: { kind: 'process', startupSeconds: 20, watchdogSeconds: null },
    stop,
    backoff,
    limits,
    ...overrides,
  };
}

/** A service and what it does for a bot: nothing but what is said. */
export function serviceUse(service: ServiceSpec, steps: Partial<ServiceUse> = {}): ServiceUse {
  return { service, provision: [], deprovision: [], archive: [], ...steps };
}
