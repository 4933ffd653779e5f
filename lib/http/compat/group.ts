import { BunkhouseError } from '../../domain/errors.ts';
import type { Actor } from '../../domain/state.ts';
import { type CompatGroup, isVisitor } from '../../domain/visitor.ts';
import type { LeaseApi, LeaseView, ReserveStatus } from '../../services/lease-api.ts';

/** What a group of routes under other names works with. */
export interface Group {
  readonly leases: LeaseApi;
  readonly template: string;
  /** For `open` of its routes: set where they need no token. */
  readonly open: { readonly open?: CompatGroup };
}

/** Those who use these names expect that what they are given runs: warm ones do at once, others are waited for. */
export const WAIT_SECONDS = 120;

/**
 * A lease of the group by its id, and who may deal with it. Without a token the id is what proves that it is one's own, and
 * only of what was handed out without one. Throws NOT_FOUND.
 */
export function leaseBy({ leases, template }: Group, actor: Actor, id: string): { actor: Actor; lease: LeaseView } {
  const lease = leases.get({ role: 'admin' }, id);
  const visiting = actor.role === 'owner' && isVisitor(actor.owner);
  const holder: Actor = visiting && isVisitor(lease.owner) ? { role: 'owner', owner: lease.owner } : actor;
  if (lease.template !== template) throw new BunkhouseError('NOT_FOUND', `there is no lease ${id}`);
  return { actor: holder, lease: leases.get(holder, id) };
}

/** An address that a caller can use from anywhere; as it is when nobody knows under which name they came. */
export function absolute(url: string, origin: string | null): string {
  return origin === null ? url : new URL(url, origin).href;
}

export interface Total {
  readonly target: number;
  readonly minSize: number;
  /** Of all locations together. */
  readonly maxSize: number;
  readonly ready: number;
  readonly warming: number;
  readonly assigned: number;
  readonly isRefilling: boolean;
}

/** Reserves of the group's template in all locations, as one. What is being cleaned will be ready, so it is warming. */
export function reserveOf({ leases, template }: Group): Total {
  const all = leases.reserves().filter((reserve) => reserve.template === template);
  const sum = (count: (reserve: ReserveStatus) => number): number => all.reduce((total, one) => total + count(one), 0);
  return {
    target: sum(({ target }) => target),
    minSize: sum(({ minSize }) => minSize),
    maxSize: Math.max(0, ...all.map(({ maxSize }) => maxSize)),
    ready: sum(({ ready }) => ready),
    warming: sum(({ warming, resetting }) => warming + resetting),
    assigned: sum(({ assigned }) => assigned),
    isRefilling: all.some(({ isRefilling }) => isRefilling),
  };
}
