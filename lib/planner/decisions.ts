import type { Step } from '../domain/steps.ts';
import type { Held, Plan, World } from './world.ts';

/** What to do about one subject: a step, why nothing is done, or null when there is nothing to do. */
export type Decision = Step | Held | null;

/** A bot or container to decide about. `decide` is not asked while a step of its lane is under way. */
export interface Subject {
  readonly name: string;
  readonly lane: string;
  readonly decide: () => Decision;
}

/** The decisions as a plan, in order. A step whose lane failed lately is held back, with the failure as the reason. */
export function planSubjects(world: World, subjects: readonly Subject[]): Plan {
  const steps: Step[] = [];
  const held: Held[] = [];
  for (const { name, lane, decide } of subjects) {
    if (world.busy.has(lane)) continue;
    const decision = decide();
    if (decision === null) continue;
    const hold = world.holds.get(lane);
    if (!('kind' in decision)) held.push(decision);
    else if (hold !== undefined && hold.until > world.now) held.push({ target: name, why: hold.reason });
    else steps.push(decision);
  }
  return { steps, held };
}
