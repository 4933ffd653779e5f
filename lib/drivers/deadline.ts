import { resetSeconds } from '../domain/template.ts';
import type { Clock } from '../util/clock.ts';
import { withDeadline } from '../util/deadline.ts';
import type { Agent, Driver } from './driver.ts';

/** Seconds, well above what the work takes on a slow machine: a bound against hanging for ever, not a measure of health. */
const LIMITS = {
  capabilities: 60,
  list: 30,
  create: 180,
  start: 180,
  /** Besides the grace. */
  stop: 60,
  remove: 660,
  connect: 30,
  portsInUse: 30,
  observe: 45,
  apply: 120,
  /** Besides the time asked for. */
  wait: 30,
  listener: 10,
  log: 45,
  /** Besides the time its steps may take. */
  reset: 60,
  archive: 3_900,
  backup: 3_900,
  send: 45,
  restore: 3_900,
  restored: 3_900,
  fetch: 45,
  discard: 45,
} as const;

/** The same driver, whose calls, also to its agents, throw DEADLINE instead of hanging. What was begun may still be done. */
export function withDeadlines(driver: Driver, clock: Clock): Driver {
  const limit = limiter(clock);
  return {
    name: driver.name,
    bindHost: driver.bindHost,
    capabilities: () => limit('capabilities', driver.name, LIMITS.capabilities, driver.capabilities()),
    list: () => limit('list', driver.name, LIMITS.list, driver.list()),
    create: (spec) => limit('create', spec.record.name, LIMITS.create, driver.create(spec)),
    start: (name) => limit('start', name, LIMITS.start, driver.start(name)),
    stop: (name, grace) => limit('stop', name, LIMITS.stop + grace, driver.stop(name, grace)),
    remove: (name) => limit('remove', name, LIMITS.remove, driver.remove(name)),
    connect: async (name) =>
      agentWithDeadlines(await limit('connect', name, LIMITS.connect, driver.connect(name)), name, clock),
    portsInUse: (base, count) => limit('portsInUse', driver.name, LIMITS.portsInUse, driver.portsInUse(base, count)),
    watch: (onEvent, signal) => driver.watch(onEvent, signal),
    close: () => driver.close(),
  };
}

function agentWithDeadlines(agent: Agent, container: string, clock: Clock): Agent {
  const limit = limiter(clock);
  return {
    observe: () => limit('observe', container, LIMITS.observe, agent.observe()),
    apply: (spec) => limit('apply', container, LIMITS.apply, agent.apply(spec)),
    remove: (bot, generation) => limit('remove', container, LIMITS.remove, agent.remove(bot, generation)),
    wait: async (cursor, seconds, signal) => {
      const giveUp = new AbortController();
      const either = signal === undefined ? giveUp.signal : AbortSignal.any([signal, giveUp.signal]);
      try {
        return await limit('wait', container, LIMITS.wait + seconds, agent.wait(cursor, seconds, either));
      } finally {
        giveUp.abort();
      }
    },
    listener: (bot) => limit('listener', container, LIMITS.listener, agent.listener(bot)),
    log: (bot, offset, length) => limit('log', container, LIMITS.log, agent.log(bot, offset, length)),
    serviceLog: (service, offset, length) =>
      limit('log', container, LIMITS.log, agent.serviceLog(service, offset, length)),
    reset: (bot, generation, rule) =>
      limit('reset', container, LIMITS.reset + resetSeconds(rule), agent.reset(bot, generation, rule)),
    archive: (bot) => limit('archive', container, LIMITS.archive, agent.archive(bot)),
    backup: (bot) => limit('backup', container, LIMITS.backup, agent.backup(bot)),
    sendArchive: (bot, upload, offset, data) =>
      limit('send', container, LIMITS.send, agent.sendArchive(bot, upload, offset, data)),
    restore: (bot, generation, order) =>
      limit('restore', container, LIMITS.restore, agent.restore(bot, generation, order)),
    restored: (bot, upload) => limit('restored', container, LIMITS.restored, agent.restored(bot, upload)),
    fetchArchive: (archive, offset, length) =>
      limit('fetch', container, LIMITS.fetch, agent.fetchArchive(archive, offset, length)),
    discardArchive: (archive) => limit('discard', container, LIMITS.discard, agent.discardArchive(archive)),
    close: () => agent.close(),
  };
}

type Limiter = <T>(method: string, target: string, seconds: number, work: Promise<T>) => Promise<T>;

function limiter(clock: Clock): Limiter {
  return (method, target, seconds, work) => withDeadline(clock, seconds * 1000, `${method} of ${target}`, work);
}
