import type { BunkhouseEvent } from '../domain/events.ts';
import { loggedLease } from '../domain/lease.ts';
import type { Logger } from '../util/logger.ts';
import type { EventSink } from './event-log.ts';

/** Writes every event as one line: trouble as warnings, sweeps (every few seconds) only when debugging. */
export function loggerSink(logger: Logger): EventSink {
  return ({ owner, event }) => {
    const { type, ...facts } = event;
    const lease = 'lease' in facts ? { lease: loggedLease(facts.lease) } : {};
    logger[levelOf(event)]({ event: type, ...facts, ...lease, ...(owner === null ? {} : { owner }) }, type);
  };
}

/** Counts events by type; prom-client's Counter with the label `type` fits. */
export function counterSink(counter: { inc(labels: { readonly type: string }): void }): EventSink {
  return ({ event }) => counter.inc({ type: event.type });
}

function levelOf(event: BunkhouseEvent): 'debug' | 'info' | 'warn' {
  switch (event.type) {
    case 'sweep':
      return 'debug';
    case 'container.lost':
    case 'bot.fallback':
    case 'bot.move-failed':
    case 'step.failed':
    case 'bot.restarted':
      return 'warn';
    case 'bot.state':
      return event.to === 'failed' || event.to === 'unhealthy' || event.to === 'backoff' ? 'warn' : 'info';
    case 'service.state':
      return event.to === 'backoff' ? 'warn' : 'info';
    default:
      return 'info';
  }
}
