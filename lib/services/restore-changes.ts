import type { KeptBot } from '../domain/backup.ts';
import type { BotRecord } from '../domain/bot.ts';
import { BunkhouseError } from '../domain/errors.ts';
import { isStillborn, type RestoreWish } from '../domain/restore.ts';
import type { Change } from '../store/store.ts';
import { addBot, findBot, type NewBot, putBot, reviseBot } from './bot-container-mapper.ts';

/** The changes of restores in the store, each a pure compare-and-set. */

/** A new bot that comes to life with the data of a backup. Throws CONFLICT when there is one of that id. */
export function addRestored(bot: NewBot, restore: RestoreWish): Change<BotRecord> {
  return (state) => {
    const added = addBot(bot)(state);
    const record = { ...added.result, restore };
    return { state: putBot(added.state, record), result: record };
  };
}

/** From now on the bot is held stopped until its data is replaced. The same again is a no-op. Throws CONFLICT. */
export function wishRestore(instanceId: string, owner: string, restore: RestoreWish): Change<BotRecord> {
  return (state) => {
    const bot = findBot(state, instanceId);
    if (bot.restore?.backup === restore.backup) return { state, result: bot };
    if (bot.restore !== null)
      throw new BunkhouseError(
        'CONFLICT',
        `${instanceId} is being restored from ${bot.restore.backup}; wait until it is`,
      );
    if (bot.move !== null)
      throw new BunkhouseError('CONFLICT', `${instanceId} is on its way to another container; wait until it is there`);
    if (bot.owner !== owner) throw new BunkhouseError('CONFLICT', `${instanceId} has another owner than before`);
    return reviseBot(instanceId, () => ({ restore }), false)(state);
  };
}

/** The present data of a bot is safe under that id. */
export function noteKept(instanceId: string, kept: string): Change<void> {
  return (state) => {
    const bot = findBot(state, instanceId);
    const restore = bot.restore === null ? null : { ...bot.restore, kept };
    return { state: putBot(state, { ...bot, restore }), result: undefined };
  };
}

/** Its data was replaced: it is started with it, as it is wanted. Null when that was noted already. */
export function finishRestore(
  instanceId: string,
  backup: string,
  content: Pick<KeptBot, 'files' | 'env' | 'args'> | null,
): Change<BotRecord | null> {
  return (state) => {
    if (findBot(state, instanceId).restore?.backup !== backup) return { state, result: null };
    return reviseBot(instanceId, () => ({ restore: null, ...content }), true)(state);
  };
}

/** A bot that was made for it is held: there is nothing it could go on with. Null when that was noted already. */
export function failRestore(instanceId: string, backup: string, failed: string): Change<BotRecord | null> {
  return (state) => {
    const bot = findBot(state, instanceId);
    if (bot.restore?.backup !== backup || bot.restore.failed !== null) return { state, result: null };
    const held = { ...bot, restore: { ...bot.restore, failed } };
    return { state: putBot(state, held), result: held };
  };
}

/** Once more for a bot that is held since a restore failed, under a generation of its own. Throws CONFLICT. */
export function retryRestore(instanceId: string, restore: RestoreWish): Change<BotRecord> {
  return (state) => {
    const bot = findBot(state, instanceId);
    if (!isStillborn(bot) || bot.restore.backup !== restore.backup)
      throw new BunkhouseError('CONFLICT', `${instanceId} is not held by a restore of ${restore.backup} that failed`);
    return reviseBot(instanceId, () => ({ restore }), false)(state);
  };
}

/** The bot goes on with the data it has. */
export function abandonRestore(instanceId: string, backup: string): Change<BotRecord | null> {
  return finishRestore(instanceId, backup, null);
}
