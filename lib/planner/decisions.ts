import type { Step } from '../domain/steps.ts';
import type { Held, Plan, World } from './world.ts';

/** What to do about one subject: a step, why nothing is done, or null when there is nothing to do. */
export type Decision = Step | Held | null;

/** Bots, containers or whatever is decided about one by one. Nothing is decided while a step of its lane is under way. */
export interface Subjects<T> {
  readonly among: Iterable<T>;
  readonly name: (subject: T) => string;
  readonly lane: (subject: T) => string;
  readonly decide: (subject: T) => Decision;
}

/** Whether a step of the lane is under way, or it is left alone for a while. */
export function isHeld({ busy, holds, monotonic }: World, lane: string): boolean {
  return busy.has(lane) || (holds.get(lane)?.until ?? 0) > monotonic;
}

/** The decisions as a plan, in order. A step whose lane failed lately is held back, with the failure as the reason. */
export function planSubjects<T>(world: World, { among, name, lane, decide }: Subjects<T>): Plan {
  const steps: Step[] = [];
  const held: Held[] = [];
  const isIdle = world.busy.size === 0;
  for (const subject of among) {
    if (!isIdle && world.busy.has(lane(subject))) continue;
    const decision = decide(subject);
    if (decision === null) continue;
    const hold = world.holds.get(lane(subject));
    if (!('kind' in decision)) held.push(decision);
    else if (hold !== undefined && hold.until > world.monotonic) held.push({ target: name(subject), why: hold.reason });
    else steps.push(decision);
  }
  return { steps, held };
}
