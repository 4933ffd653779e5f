import { plan } from '../planner/plan.ts';
import type { Plan } from '../planner/world.ts';
import type { Dependencies } from './dependencies.ts';
import { Observer } from './observe.ts';
import type { Reconciler } from './reconciler.ts';

/** What the next pass would do, from a fresh look at everything. Does none of it. */
export async function preview({ driver, clock }: Dependencies, reconciler: Reconciler): Promise<Plan> {
  const observer = new Observer(driver, reconciler.agents, clock, () => {});
  await observer.refresh('all');
  return plan({ ...reconciler.world(), listing: observer.listing, agents: observer.agents });
}
