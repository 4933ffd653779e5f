import type { ContainerInfo } from 'dockerode';
import { type ContainerObservation, LABEL } from '../../domain/container.ts';
import type { DriverEvent } from '../driver.ts';
import { type Labels, readLabels } from '../labels.ts';
import { LOOPBACK } from './spec.ts';

/** A listed container of this installation. One that is not understood is `unknown`, so that nobody deletes it. */
export function observationOf(
  info: Pick<ContainerInfo, 'Names' | 'Labels' | 'State' | 'Status'>,
): ContainerObservation {
  const labelled = readLabels(info.Labels);
  if (typeof labelled !== 'string') {
    const { name, pool, generation, capacity, basePort } = labelled;
    return { name, pool, generation, capacity, basePort, host: LOOPBACK, ...statusOf(info.State, info.Status) };
  }
  const name = info.Labels[LABEL.container] ?? info.Names[0]?.slice(1) ?? '';
  const reason = `${labelled}: remove it with docker rm when it is not needed`;
  return { name, pool: '', generation: 0, capacity: 0, basePort: 0, host: LOOPBACK, status: 'unknown', reason };
}

/** Only the states in which the engine has no process for it count as stopped. */
export function statusOf(state: string, details: string): Pick<ContainerObservation, 'status' | 'reason'> {
  const reason = `the engine says: ${details || state}`;
  switch (state) {
    case 'running':
      return { status: 'running', reason: '' };
    case 'created':
    case 'exited':
    case 'dead':
      return { status: 'stopped', reason };
    case 'paused':
      return { status: 'unknown', reason: 'somebody froze it: run docker unpause' };
    default:
      return { status: 'unknown', reason };
  }
}

/** The events that are asked of the engine, and what they mean. */
export const EVENTS: Readonly<Record<string, DriverEvent['what']>> = {
  start: 'started',
  die: 'died',
  destroy: 'removed',
  oom: 'out-of-memory',
};

interface EngineEvent {
  readonly Action?: string;
  readonly Actor?: { readonly Attributes?: Labels };
}

/** One line of the engine's event stream; null when it means nothing here. */
export function eventOf(line: string): DriverEvent | null {
  const event = parse(line);
  const what = EVENTS[event?.Action ?? ''];
  const container = event?.Actor?.Attributes?.[LABEL.container];
  return what === undefined || container === undefined ? null : { container, what };
}

function parse(line: string): EngineEvent | null {
  try {
    return JSON.parse(line) as EngineEvent | null;
  } catch {
    return null;
  }
}
