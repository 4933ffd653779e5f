import type { ContainerObservation } from '../../domain/container.ts';
import type { Labelled } from '../labels.ts';
import type { Members } from './members.ts';

/** Where bots bind and are reached: there is no network of their own. */
export const LOOPBACK = '127.0.0.1';

/** A container as its labels and its living processes show it. */
export function observationOf(labelled: Labelled, members: Members): ContainerObservation {
  const { name, pool, generation, capacity, basePort } = labelled;
  return { name, pool, generation, capacity, basePort, host: LOOPBACK, ...statusOf(members) };
}

/** Something is there, but what it is cannot be told: reported, so that nobody takes it for absent. */
export function unreadable(name: string, reason: string): ContainerObservation {
  return { name, pool: '', generation: 0, capacity: 0, basePort: 0, host: LOOPBACK, status: 'unknown', reason };
}

function statusOf({ supervisord, others }: Members): Pick<ContainerObservation, 'status' | 'reason'> {
  if (supervisord !== null) return { status: 'running', reason: '' };
  if (others.length === 0) return { status: 'stopped', reason: '' };
  return { status: 'unknown', reason: `its supervisord is dead, processes ${others.join(', ')} are being ended` };
}
