import type { BotObservation } from '../domain/agent.ts';
import type { BotRecord } from '../domain/bot.ts';
import { messageOf } from '../domain/errors.ts';
import type { Template } from '../domain/template.ts';
import { renderCheck } from '../planner/render.ts';
import { valuesOf } from '../planner/values.ts';
import type { World } from '../planner/world.ts';
import type { CheckTarget } from './pool-health-monitor.ts';

/** All bots that are ready and in their place, with what they are to be asked. */
export function checkTargets(world: World): CheckTarget[] {
  if (world.listing.kind === 'unknown') return [];
  const targets: CheckTarget[] = [];
  for (const [name, { host }] of world.listing.value) {
    const agent = world.agents.get(name);
    if (agent?.kind !== 'seen') continue;
    for (const observed of agent.value.bots) {
      const bot = world.state.bots.get(observed.bot);
      const target = bot?.placement?.container === name ? targetOf(world, bot, observed, host) : null;
      if (target !== null) targets.push(target);
    }
  }
  return targets;
}

// Private

/** Null for a bot that cannot be asked yet or has no checks. */
function targetOf(world: World, bot: BotRecord, observed: BotObservation, host: string): CheckTarget | null {
  const template = world.templates.get(bot.template);
  if (observed.state !== 'running' || observed.startedAt === null) return null;
  if (template === undefined || template.checks.length === 0) return null;
  return {
    bot: bot.instanceId,
    startedAt: observed.startedAt,
    address: { host, port: observed.port },
    everySeconds: template.checkEverySeconds,
    failureThreshold: template.failureThreshold,
    backoff: template.backoff,
    ...renderedChecks(world, bot, template, observed.port),
  };
}

/** Checks that do not fit the bot's record (any more) hold up this bot, never the pass. */
function renderedChecks(
  world: World,
  bot: BotRecord,
  template: Template,
  port: number,
): Pick<CheckTarget, 'checks' | 'fault'> {
  try {
    const values = valuesOf(bot, port, world.limits.bindHost(bot.location));
    return { checks: template.checks.map((check) => renderCheck(check, values)), fault: '' };
  } catch (error) {
    return { checks: [], fault: `its health checks do not fit it: ${messageOf(error)}` };
  }
}
