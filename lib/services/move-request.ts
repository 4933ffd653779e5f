import type { BotRecord } from '../domain/bot.ts';
import { BunkhouseError } from '../domain/errors.ts';
import { CONTAINER_NAME } from '../domain/ids.ts';
import { chooseLocation } from '../domain/location.ts';
import type { Destination } from '../domain/move.ts';
import type { Actor } from '../domain/state.ts';
import { whyImmovable } from '../planner/moves.ts';
import { visibleBot } from './bots.ts';
import type { Dependencies } from './dependencies.ts';
import { beginMove } from './move-changes.ts';
import type { MoveBot } from './pool-api.ts';

type MoveDependencies = Pick<Dependencies, 'store' | 'templates' | 'locations' | 'events' | 'clock'>;

/** Puts a bot on its way. Throws NOT_FOUND, FORBIDDEN, INVALID, UNKNOWN_LOCATION, CONFLICT, UNSUPPORTED, BOT_UNAVAILABLE. */
export async function requestMove(
  { store, templates, locations, events, clock }: MoveDependencies,
  actor: Actor,
  instanceId: string,
  request: MoveBot,
): Promise<BotRecord> {
  const bot = visibleBot(store.current(), actor, instanceId);
  if (actor.role !== 'admin') throw new BunkhouseError('FORBIDDEN', 'only an admin chooses where a bot is');
  const why = whyImmovable(bot, templates.get(bot.template));
  if (why !== null) throw new BunkhouseError('UNSUPPORTED', `${instanceId} cannot be moved: ${why}`);
  const to = destinationOf(locations, request);
  const record = await store.update(beginMove(instanceId, to, { kind: 'request' }, clock.now()));
  if (bot.move === null) events.emit({ type: 'bot.moving', bot: instanceId, to }, record.owner);
  return record;
}

// Private

function destinationOf(locations: MoveDependencies['locations'], { to, location }: MoveBot): Destination {
  if (to !== undefined && location !== undefined)
    throw new BunkhouseError('INVALID', 'give one of to and location, not both');
  if (location !== undefined) return { kind: 'location', location: chooseLocation(locations, location) };
  if (to === undefined || to === 'pool') return { kind: 'pool' };
  if (to === 'alone') return { kind: 'alone' };
  if (!CONTAINER_NAME.test(to))
    throw new BunkhouseError('INVALID', 'to: must be pool, alone or the name of a container');
  return { kind: 'container', container: to };
}
