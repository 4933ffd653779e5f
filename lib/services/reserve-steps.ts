import { BunkhouseError, hasCode, messageOf } from '../domain/errors.ts';
import { POOL_OWNER } from '../domain/lease.ts';
import { renderReset } from '../planner/render.ts';
import { findBot } from './bot-container-mapper.ts';
import { freshSecrets, newBot } from './bots.ts';
import type { ApplyContext, Executors } from './executors.ts';
import { addReserve, admitReady, beginReset, discardBot, endLease, rewarm } from './lease-changes.ts';

/** How the steps of the reserve are carried out. */
export function reserveExecutors(
  context: ApplyContext,
): Pick<Executors, 'addReserve' | 'admitReady' | 'expireLease' | 'resetBot' | 'discardBot'> {
  const { store, events, clock, templates } = context;

  async function discard(bot: string, why: string): Promise<void> {
    await store.update(discardBot(bot, clock.now()));
    events.emit({ type: 'reserve.discarded', bot, why }, null);
  }

  return {
    async addReserve({ template, count }) {
      const bots = Array.from({ length: count }, () => {
        const instanceId = `${template}-${context.newId().slice(0, 8)}`;
        return newBot(
          { ...context, defaultTemplate: template },
          { role: 'admin' },
          { instanceId, template, owner: POOL_OWNER },
        );
      });
      await store.update(addReserve(bots, clock.now()));
      context.noteBatch(template);
      events.emit({ type: 'reserve.refill', template, count }, null);
    },
    async admitReady({ bot }) {
      await store.update(admitReady(bot, clock.now()));
      events.emit({ type: 'reserve.ready', bot }, null);
    },
    async expireLease({ lease, bot }) {
      const { owner } = await store.update(endLease(lease, 'expired', context.leaseClock()));
      events.emit({ type: 'lease.ended', lease, bot, how: 'expired' }, owner);
    },
    async resetBot({ container, bot, generation }) {
      await store.update(beginReset(bot, clock.now()));
      const record = findBot(store.current(), bot);
      const template = templates.get(record.template);
      if (template?.lease?.reset == null)
        throw new BunkhouseError('UNSUPPORTED', `template ${record.template} has no reset`);
      try {
        const agent = await context.agents.get(container);
        await agent.reset(bot, generation, renderReset(template.lease.reset, record, context.limits.bindHost));
      } catch (error) {
        if (!hasCode(error, 'RESET_FAILED')) throw error;
        await discard(bot, messageOf(error));
        return;
      }
      await store.update(rewarm(bot, freshSecrets(template, {}, context.secret), clock.now()));
      events.emit({ type: 'reserve.clean', bot }, null);
    },
    discardBot: ({ bot, why }) => discard(bot, why),
  };
}
