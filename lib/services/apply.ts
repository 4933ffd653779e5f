import type { BotRecord } from '../domain/bot.ts';
import { BunkhouseError, hasCode } from '../domain/errors.ts';
import type { Step } from '../domain/steps.ts';
import { imageOf } from '../planner/new-container.ts';
import { renderCall } from '../planner/render.ts';
import { valuesOf } from '../planner/values.ts';
import { batched } from '../util/batch.ts';
import {
  addContainer,
  assignBots,
  type Claim,
  enterContainer,
  findBot,
  forgetBot,
  forgetContainer,
  markRemoving,
  noteOnBot,
  raiseGeneration,
  reviseBot,
} from './bot-container-mapper.ts';
import type { ApplyContext, Executors } from './executors.ts';
import { fallBack, rejoinPool } from './fallback-changes.ts';
import { migrationExecutors } from './migration-steps.ts';
import { dropCarried, moveExecutors } from './move-steps.ts';
import { overtakeIfStale } from './overtaking.ts';
import { keepArchive } from './packing.ts';
import { reserveExecutors } from './reserve-steps.ts';
import { restoreExecutor } from './restore-step.ts';
import { stopGrace } from './stop-grace.ts';
import { upgradeExecutors } from './upgrade-steps.ts';

/** So long a bot is not told of its lease for the sake of others who wait for theirs. */
const RUSH_MS = 50;

/** How each step is carried out. Every one may be broken off anywhere and done again. */
export function createApply(context: ApplyContext): (step: Step) => Promise<void> {
  const { store, driver, events } = context;

  const assign = batched<Claim, BotRecord>((claims) => store.update(assignBots(claims)));

  const enter = async (container: string, bot: string, generation: number): Promise<boolean> => {
    const change = enterContainer(container, bot, generation);
    const before = store.current();
    const { state, result } = change(before);
    return state === before ? result : store.update(change);
  };

  const forget = async (bot: string): Promise<void> => {
    await dropCarried(context.carried, bot);
    const { owner, archive } = await store.update(forgetBot(bot));
    events.emit({ type: 'bot.deleted', bot, archive }, owner);
  };

  const executors: Executors = {
    async recordContainer({ container }) {
      const inUse = await driver.portsInUse(container.basePort, container.capacity);
      if (inUse.length > 0) {
        context.log.info({ ports: inUse }, 'ports are taken by a process outside the pool; looking for others');
        context.blockPorts(inUse);
        return;
      }
      // An upgrade began or was taken back since it was planned: the pass after this plans it anew.
      const [template = ''] = container.pool.split('/');
      const image = imageOf({ ...context, state: store.current() }, template, container.soleBot !== null);
      if (container.image === image) await store.update(addContainer(container));
    },
    async assign({ bot, placement }) {
      const { owner } = await assign({ bot, placement });
      events.emit({ type: 'bot.placed', bot, ...placement }, owner);
    },
    async fallBack({ bot, reason, why }) {
      const { owner, template } = await store.update(fallBack(bot, why, context.clock.now()));
      events.emit({ type: 'bot.fallback', bot, template, reason, why }, owner);
    },
    async rejoinPool({ bot }) {
      const { owner } = await store.update(rejoinPool(bot));
      events.emit({ type: 'bot.rejoined', bot }, owner);
    },
    async raiseGeneration({ to }) {
      await store.update(raiseGeneration(to));
    },
    async createContainer({ container }) {
      await driver.create({ record: container, limits: context.containerLimits });
      events.emit({ type: 'container.created', container: container.name, pool: container.pool }, null);
    },
    async startContainer({ container }) {
      await driver.start(container);
      events.emit({ type: 'container.started', container }, null);
    },
    async applyBot({ container, spec, sake, blind }) {
      if (sake === 'telling') await context.rush.over(RUSH_MS);
      // Changed while this step waited its turn: the pass after it plans anew.
      if (!(await enter(container, spec.bot, spec.generation))) return;
      const agent = await context.agents.get(container);
      await overtakeIfStale(context, spec.bot, spec.generation, () => agent.apply(spec), blind);
    },
    async archiveBot({ container, bot }) {
      const archive = await keepArchive(context, container, bot);
      await store.update(noteOnBot(bot, { archive }));
      events.emit({ type: 'bot.archived', bot, archive }, findBot(store.current(), bot).owner);
    },
    async removeBot({ container, bot, generation }) {
      const agent = await context.agents.get(container);
      if (await overtakeIfStale(context, bot, generation, () => agent.remove(bot, generation))) await forget(bot);
    },
    restoreBot: restoreExecutor(context),
    forgetBot: ({ bot }) => forget(bot),
    async restartBot({ bot, why }) {
      const { owner } = await store.update(reviseBot(bot, () => ({}), true));
      context.noteRestart(bot);
      events.emit({ type: 'bot.restarted', bot, why }, owner);
    },
    async controlBot({ bot, action, generation }) {
      const record = findBot(store.current(), bot);
      const call = context.templates.get(record.template)?.control[action];
      if (call === undefined) throw new BunkhouseError('UNSUPPORTED', `template ${record.template} cannot ${action}`);
      const address = context.addressOf(bot);
      await context.prober.call(
        address,
        renderCall(call, valuesOf(record, address.port, context.limits.bindHost(record.location))),
      );
      await store.update(noteOnBot(bot, { controlledGeneration: generation }));
    },
    async retireContainer({ container }) {
      await store.update(markRemoving(container));
    },
    async removeContainer({ container }) {
      await ignoreAbsence(driver.stop(container, stopGrace(context.templates)));
      context.agents.drop(container);
      await driver.remove(container);
      events.emit({ type: 'container.removed', container }, null);
    },
    ...moveExecutors(context),
    ...reserveExecutors(context),
    ...upgradeExecutors(context),
    ...migrationExecutors(context),
    async forgetContainer({ container }) {
      await store.update(forgetContainer(container));
    },
  };

  return (step) => {
    const execute = executors[step.kind] as (args: Step) => Promise<void>;
    return execute(step);
  };
}

/** What is gone already need not be stopped. */
async function ignoreAbsence(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!hasCode(error, 'NOT_FOUND')) throw error;
  }
}
