import type { BotRecord } from '../domain/bot.ts';
import { isWaiting } from '../domain/lease.ts';
import type { Template } from '../domain/template.ts';
import { deriveState } from './bot-state.ts';
import { leaseOf } from './leases.ts';
import { type Difference, differenceOf } from './marks.ts';
import { imageUnder } from './new-container.ts';
import { renderMarks } from './render.ts';
import type { World } from './world.ts';

/** What it takes to have a bot run as its template is now, in a container with that image. */
export interface Forecast {
  readonly needs: 'stays' | 'restart' | 'move' | 'replace' | 'unknown';
  readonly why: string;
}

/** From what its process was started with, and what it would be started with now. `override`: image of the upgrade to be. */
export function forecast(world: World, bot: BotRecord, template: Template, override: string | null): Forecast {
  if (bot.placement === null) return { needs: 'stays', why: 'has no container yet: it gets a new one' };
  const container = world.state.containers[bot.placement.container];
  const image = imageUnder(template, override, bot.legacy !== null);
  const isOld = container !== undefined && container.image !== image;
  if (isWaiting(bot) && isOld) return { needs: 'replace', why: imageChange(container.image, image) };
  if (isOld) return { needs: 'move', why: imageChange(container.image, image) };
  const { observed } = deriveState(world, bot);
  if (observed === null) return { needs: 'unknown', why: 'it cannot be seen' };
  if (observed.pid === null) return { needs: 'stays', why: 'does not run: its next start takes what has changed' };
  if (observed.marks === null) return { needs: 'unknown', why: 'its container does not tell what it was started with' };
  const agent = world.agents.get(bot.placement.container);
  if (agent?.kind !== 'seen') return { needs: 'unknown', why: 'it cannot be seen' };
  const around = {
    host: world.limits.bindHost(bot.location),
    directory: agent.value.directory,
    lease: leaseOf(world.state, bot),
  };
  return byDifference(differenceOf(observed.marks, renderMarks(bot, bot.placement, template, around)));
}

// Private

function byDifference({ byRestart, atOnce }: Difference): Forecast {
  if (byRestart.length > 0) return { needs: 'restart', why: `changed: ${byRestart.join(', ')}` };
  const why = atOnce.length > 0 ? `changed, taken without a restart: ${atOnce.join(', ')}` : 'nothing has changed';
  return { needs: 'stays', why };
}

const imageChange = (before: string | null, after: string | null): string =>
  `image ${before ?? 'none'} becomes ${after ?? 'none'}`;
