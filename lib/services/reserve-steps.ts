import { BunkhouseError, hasCode, messageOf } from '../domain/errors.ts';
import { type LeaseRecord, POOL_OWNER } from '../domain/lease.ts';
import type { StepArgs } from '../domain/steps.ts';
import { renderReset } from '../planner/render.ts';
import { findBot } from './bot-container-mapper.ts';
import { freshSecrets, newBot } from './bots.ts';
import type { ApplyContext, Executors } from './executors.ts';
import { endLease, forgetLeases, shiftLeases } from './lease-changes.ts';
import { addReserve, admitReady, beginReset, demoteReady, discardBot, rewarm } from './reserve-changes.ts';

type ReserveSteps =
  | 'addReserve'
  | 'admitReady'
  | 'demoteReady'
  | 'giveUpWarming'
  | 'resetBot'
  | 'discardBot'
  | 'expireLease'
  | 'shiftLeases'
  | 'forgetLeases';

/** How the steps of leases and of the reserve are carried out. */
export function reserveExecutors(context: ApplyContext): Pick<Executors, ReserveSteps> {
  const { store, events, templates, reserves, leaseClock } = context;

  const tellEnd = ({ id, bot, template, owner, end }: LeaseRecord): void => {
    if (end !== null) events.emit({ type: 'lease.ended', lease: id, bot, template, how: end.how }, owner);
  };

  const discard = async (bot: string, why: string): Promise<void> => {
    const lost = await store.update(discardBot(bot, leaseClock.now()));
    if (lost !== null) tellEnd(lost);
    events.emit({ type: 'reserve.discarded', bot, why }, null);
  };

  const clean = async ({ container, directory, bot, generation }: StepArgs['resetBot']): Promise<void> => {
    const record = findBot(store.current(), bot);
    const template = templates.get(record.template);
    if (template?.lease?.reset == null)
      throw new BunkhouseError('UNSUPPORTED', `template ${record.template} has no reset`);
    const agent = await context.agents.get(container);
    await agent.reset(
      bot,
      generation,
      renderReset(template.lease.reset, record, { host: context.limits.bindHost(record.location), directory }),
    );
    await store.update(rewarm(bot, freshSecrets(template, {}, context.secret), leaseClock.now()));
  };

  return {
    async addReserve({ template, location, count, target }) {
      const made = Array.from({ length: count }, () => {
        const instanceId = warmId(template, context.newId());
        const request = { instanceId, template, location, owner: POOL_OWNER };
        return newBot({ ...context, defaultTemplate: template }, { role: 'admin' }, request);
      });
      const bounds = { target, most: context.reserve.max };
      const added = await store.update(addReserve({ template, location }, made, bounds, leaseClock.now()));
      reserves.noteBatch({ template, location });
      events.emit({ type: 'reserve.refill', template, location, count: added }, null);
    },
    async admitReady({ bot }) {
      const admitted = store.update(admitReady(bot, leaseClock.now()));
      const place = findBot(store.current(), bot);
      // At once: a lease of it becomes durable with it or after it, or fails with it.
      context.noteReady(place, bot);
      await admitted;
      reserves.noteWell(place);
      events.emit({ type: 'reserve.ready', bot }, null);
    },
    async demoteReady({ bot, why }) {
      await store.update(demoteReady(bot, leaseClock.now()));
      events.emit({ type: 'reserve.unwell', bot, why }, null);
    },
    async giveUpWarming({ bot, why, ...place }) {
      await discard(bot, why);
      reserves.noteUnwell(place, `${bot} was ${why}`);
    },
    async discardBot({ bot, phase, why }) {
      // Somebody may have got it since this was planned.
      if (findBot(store.current(), bot).reserve?.phase === phase) await discard(bot, why);
    },
    async resetBot(step) {
      const { bot } = step;
      await store.update(beginReset(bot, leaseClock.now()));
      try {
        await clean(step);
      } catch (error) {
        if (!hasCode(error, 'RESET_FAILED')) throw error;
        await discard(bot, messageOf(error));
        return;
      }
      events.emit({ type: 'reserve.clean', bot }, null);
    },
    async expireLease({ lease }) {
      const ended = await store.update(endLease(lease, 'expired', leaseClock.now()));
      if (ended !== null) tellEnd(ended);
    },
    shiftLeases: ({ byMs }) => leaseClock.step(byMs, () => store.update(shiftLeases(byMs))),
    async forgetLeases() {
      await store.update(forgetLeases(leaseClock.now()));
    },
  };
}

/** Ids of bots that a pool makes. Long enough that two never meet, also among many thousands. */
export const warmId = (template: string, random: string): string => `${template}-${random.slice(0, 16)}`;
