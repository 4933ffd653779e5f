import { BunkhouseError, type ErrorCode } from '../domain/errors.ts';
import type { Clock } from '../util/clock.ts';
import type { Agent, Driver } from './driver.ts';

/** One call to a driver, or (`agent.…`) to a container. */
export interface DriverCall {
  readonly method: string;
  readonly outcome: 'ok' | ErrorCode;
  readonly ms: number;
}

type Timed = <T>(method: string, work: () => Promise<T>) => Promise<T>;

/**
 * The same driver, which tells `observe` of every call, also of those to its agents. `wait` is told of only when it
 * fails: how long it takes says nothing.
 */
export function withMetrics(driver: Driver, clock: Clock, observe: (call: DriverCall) => void): Driver {
  const timed = timer(clock, observe);
  return {
    name: driver.name,
    bindHost: driver.bindHost,
    capabilities: () => timed('capabilities', () => driver.capabilities()),
    list: () => timed('list', () => driver.list()),
    create: (spec) => timed('create', () => driver.create(spec)),
    start: (name) => timed('start', () => driver.start(name)),
    stop: (name, grace) => timed('stop', () => driver.stop(name, grace)),
    remove: (name) => timed('remove', () => driver.remove(name)),
    connect: async (name) => agentWithMetrics(await timed('connect', () => driver.connect(name)), clock, observe),
    portsInUse: (base, count) => timed('portsInUse', () => driver.portsInUse(base, count)),
    watch: (onEvent, signal) => driver.watch(onEvent, signal),
    close: () => driver.close(),
  };
}

function agentWithMetrics(agent: Agent, clock: Clock, observe: (call: DriverCall) => void): Agent {
  const timed = timer(clock, observe);
  const failing = timer(clock, (call) => call.outcome !== 'ok' && observe(call));
  return {
    observe: () => timed('agent.observe', () => agent.observe()),
    apply: (spec) => timed('agent.apply', () => agent.apply(spec)),
    remove: (bot, generation) => timed('agent.remove', () => agent.remove(bot, generation)),
    wait: (cursor, seconds, signal) => failing('agent.wait', () => agent.wait(cursor, seconds, signal)),
    listener: (bot) => timed('agent.listener', () => agent.listener(bot)),
    log: (bot, offset, length) => timed('agent.log', () => agent.log(bot, offset, length)),
    serviceLog: (service, offset, length) => timed('agent.serviceLog', () => agent.serviceLog(service, offset, length)),
    reset: (bot, generation, rule) => timed('agent.reset', () => agent.reset(bot, generation, rule)),
    archive: (bot) => timed('agent.archive', () => agent.archive(bot)),
    backup: (bot) => timed('agent.backup', () => agent.backup(bot)),
    sendArchive: (bot, upload, offset, data) =>
      timed('agent.sendArchive', () => agent.sendArchive(bot, upload, offset, data)),
    restore: (bot, generation, order) => timed('agent.restore', () => agent.restore(bot, generation, order)),
    restored: (bot, upload) => timed('agent.restored', () => agent.restored(bot, upload)),
    fetchArchive: (archive, offset, length) =>
      timed('agent.fetchArchive', () => agent.fetchArchive(archive, offset, length)),
    discardArchive: (archive) => timed('agent.discardArchive', () => agent.discardArchive(archive)),
    close: () => agent.close(),
  };
}

function timer(clock: Clock, observe: (call: DriverCall) => void): Timed {
  return async (method, work) => {
    const begun = clock.monotonic();
    const tell = (outcome: DriverCall['outcome']): void => observe({ method, outcome, ms: clock.monotonic() - begun });
    try {
      const result = await work();
      tell('ok');
      return result;
    } catch (error) {
      tell(error instanceof BunkhouseError ? error.code : 'INTERNAL');
      throw error;
    }
  };
}
