import type { ApplyContext, Executors } from './executors.ts';
import { beginConsolidation, endConsolidation, endUpgrade } from './upgrade-changes.ts';

type UpgradeSteps = 'consolidate' | 'reopenContainer' | 'endUpgrade';

/** How the steps of upgrades, drains and consolidation are carried out; the moves themselves have their own. */
export function upgradeExecutors({ store, events, clock }: ApplyContext): Pick<Executors, UpgradeSteps> {
  return {
    async consolidate({ container }) {
      await store.update(beginConsolidation(container, clock.now()));
      events.emit({ type: 'container.emptying', container, why: 'consolidate' }, null);
    },
    async reopenContainer({ container }) {
      await store.update(endConsolidation(container));
      events.emit({ type: 'container.opened', container }, null);
    },
    async endUpgrade({ template }) {
      const ended = await store.update(endUpgrade(template, clock.now()));
      if (ended === null) return;
      const { status, moved, failures } = ended;
      events.emit({ type: 'upgrade.changed', template, status, moved, failures: failures.length }, null);
    },
  };
}
