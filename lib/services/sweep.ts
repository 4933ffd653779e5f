import type { Step } from '../domain/steps.ts';
import { explainStep } from '../planner/explain.ts';
import { isoTime } from '../util/clock.ts';
import type { Dependencies } from './dependencies.ts';
import type { ContainerView, Issue, SweepReport } from './pool-api.ts';
import type { Reconciler } from './reconciler.ts';
import { containerViews } from './views.ts';

/** Looks at everything now, checks every bot, and tells what was found and set in motion. */
export async function sweep(deps: Dependencies, reconciler: Reconciler): Promise<SweepReport> {
  const { clock, store, events } = deps;
  const began = clock.monotonic();
  const steps = await stepsOf(reconciler, async () => {
    await reconciler.pass('all');
    await reconciler.monitor.checkAll();
    await reconciler.pass();
  });
  const { containers, bots } = store.current();
  const report: SweepReport = {
    timestamp: isoTime(clock.now()),
    pools: Object.keys(containers).length,
    bots: bots.size,
    issues: issues(reconciler, deps.at),
    recoveryActions: [...new Set(steps.map(explainStep))],
    durationMs: Math.round(clock.monotonic() - began),
  };
  const { pools, issues: found, durationMs } = report;
  events.emit({ type: 'sweep', containers: pools, bots: report.bots, issues: found.length, durationMs }, null);
  return report;
}

// Private

/** Every step begun while the work is done. */
async function stepsOf(reconciler: Reconciler, work: () => Promise<void>): Promise<readonly Step[]> {
  const steps: Step[] = [];
  const stop = reconciler.onStep((step) => steps.push(step));
  try {
    await work();
  } finally {
    stop();
  }
  return steps;
}

function issues(reconciler: Reconciler, at: Dependencies['at']): Issue[] {
  const world = reconciler.world();
  const driver = world.listing.kind === 'unknown' ? [{ target: 'driver', problem: world.listing.reason }] : [];
  const locations = [...world.unreachable].map(([name, problem]) => ({ target: `location ${name}`, problem }));
  const views = containerViews(world, reconciler.states, at);
  const containers = views
    .filter((container) => container.status !== 'running' || container.reason !== '')
    .map((container) => ({ target: container.id, problem: container.reason || container.status }));
  const bots = world.state.bots.records
    .map(({ instanceId, desired }) => {
      const { state = 'pending', reason = '' } = reconciler.states.get(instanceId) ?? {};
      return { instanceId, desired, state, reason };
    })
    .filter((bot) => bot.reason !== '' || bot.state !== (bot.desired === 'stopped' ? 'stopped' : 'running'))
    .map((bot) => ({
      target: bot.instanceId,
      problem: bot.reason === '' ? bot.state : `${bot.state}: ${bot.reason}`,
    }));
  return [...driver, ...locations, ...containers, ...services(views), ...bots];
}

function services(containers: readonly ContainerView[]): Issue[] {
  return containers.flatMap(({ id, services }) =>
    services
      .filter(({ state, warning }) => state !== 'running' || warning !== '')
      .map(({ name, state, reason, warning }) => ({
        target: `${id}/${name}`,
        problem: state === 'running' ? warning : `${state}${reason && `: ${reason}`}`,
      })),
  );
}
