import type { BackupFacts } from '../domain/backup.ts';
import { type BotRecord, wantsProcess } from '../domain/bot.ts';
import { BunkhouseError, messageOf } from '../domain/errors.ts';
import type { Move } from '../domain/move.ts';
import { lackingOf } from '../domain/move-rule.ts';
import { whyImmovable } from '../planner/moves.ts';
import { findBot } from './bot-container-mapper.ts';
import type { ApplyContext, Executors } from './executors.ts';
import { askFacts } from './facts.ts';
import {
  beginCarrying,
  beginMove,
  carryAgain,
  claimPlace,
  crossOver,
  finishMove,
  followNewest,
  leave,
  noteArrived,
  noteCarried,
  noteProven,
  undoMove,
} from './move-changes.ts';
import { keepBackup, uploadName } from './packing.ts';
import { isRefused, keepPresent, replaceData } from './replacing.ts';
import type { Shelf } from './shelf.ts';

type MoveSteps =
  | 'beginMove'
  | 'claimPlace'
  | 'askBot'
  | 'leavePlace'
  | 'beginCarrying'
  | 'carryBot'
  | 'crossOver'
  | 'arriveBot'
  | 'proveBot'
  | 'takeForProven'
  | 'undoMove'
  | 'clearPlace'
  | 'endMove'
  | 'followNewest';

/** How the steps of moves are carried out. Every one may be broken off anywhere and done again. */
export function moveExecutors(context: ApplyContext): Pick<Executors, MoveSteps> {
  const { store, events, templates, clock, carried } = context;

  const undo = async (bot: string, why: string): Promise<void> => {
    const { move } = findBot(store.current(), bot);
    const undone = await store.update(undoMove(bot, why, clock.now()));
    if (undone === null || move?.undone !== null) return;
    const container = placeOf(move.phase === 'arriving' || move.phase === 'proving' ? move.other : undone);
    events.emit({ type: 'bot.move-failed', bot, container, why }, undone.owner);
  };

  const prove = async (bot: string): Promise<void> => {
    const proven = await store.update(noteProven(bot, clock.now()));
    if (proven === null) return;
    const [from, container] = [placeOf(proven.move?.other), placeOf(proven)];
    events.emit({ type: 'bot.moved', bot, from, container, awaySeconds: away(proven, clock.now()) }, proven.owner);
  };

  const finish = async (bot: string, container: string): Promise<void> => {
    await dropCarried(carried, bot);
    await store.update(finishMove(bot, container));
  };

  return {
    async beginMove({ bot, to, cause }) {
      const before = findBot(store.current(), bot);
      const why = whyImmovable(before, templates.get(before.template));
      if (why !== null) throw new BunkhouseError('UNSUPPORTED', `${bot} cannot be moved: ${why}`);
      const { owner, move } = await store.update(beginMove(bot, to, cause, clock.now()));
      if (before.move !== move) events.emit({ type: 'bot.moving', bot, to }, owner);
    },
    async claimPlace({ bot, placement }) {
      await store.update(claimPlace({ bot, placement }, clock.now()));
    },
    async askBot({ bot }) {
      const facts = await askFacts(context, findBot(store.current(), bot));
      await store.update(leave(bot, facts, clock.now()));
    },
    async leavePlace({ bot, well }) {
      await store.update(leave(bot, well ? {} : null, clock.now()));
    },
    async beginCarrying({ bot }) {
      await store.update(beginCarrying(bot, clock.now()));
    },
    async carryBot({ container, bot, generation }) {
      const record = inPhase(context, bot, 'carrying', generation);
      if (record === null) return;
      const facts = await keepBackup({ ...context, shelf: carried }, container, record, 'move');
      const lost = record.move.undone === null ? lossOf(facts) : null;
      if (lost === null) await store.update(noteCarried(bot, generation, facts.id));
      else await undo(bot, `not everything of it can be moved: ${lost}`);
    },
    async crossOver({ bot, generation }) {
      const crossed = await store.update(crossOver(bot, generation, clock.now()));
      if (crossed?.placement) events.emit({ type: 'bot.placed', bot, ...crossed.placement }, crossed.owner);
    },
    async arriveBot({ container, bot, generation }) {
      const record = inPhase(context, bot, 'arriving', generation + 1);
      if (record === null) return;
      try {
        await putInPlace(context, container, record, generation);
        await store.update(noteArrived(bot, clock.now()));
      } catch (error) {
        if (record.move.undone !== null || !isRefused(error)) throw error;
        await undo(bot, `its data was refused in ${container}: ${messageOf(error)}`);
      }
    },
    async proveBot({ bot }) {
      const record = findBot(store.current(), bot);
      const rules = templates.get(record.template)?.move.facts ?? {};
      const lacking = lackingOf(rules, record.move?.facts ?? {}, await askFacts(context, record));
      if (lacking !== null) throw new BunkhouseError('BOT_UNAVAILABLE', `it lacks what it had: ${lacking}`);
      await prove(bot);
    },
    takeForProven: ({ bot }) => prove(bot),
    undoMove: ({ bot, why }) => undo(bot, why),
    async clearPlace({ container, bot, generation }) {
      const agent = await context.agents.get(container);
      // A newer generation there is newer data: then it is not cleared but looked into.
      await agent.remove(bot, generation);
      await finish(bot, container);
    },
    endMove: ({ bot, container }) => finish(bot, container),
    async followNewest({ bot, placement, generation, found }) {
      const followed = await store.update(followNewest({ bot, placement }, { generation, found }, clock.now()));
      if (followed !== null) events.emit({ type: 'bot.placed', bot, ...placement }, followed.owner);
    },
  };
}

/** Removes what is kept of a bot for its moves. */
export async function dropCarried(carried: Shelf, bot: string): Promise<void> {
  const kept = await carried.list();
  for (const { id } of kept.filter((facts) => facts.bot === bot)) await carried.remove(id);
}

// Private

type Moving = BotRecord & { readonly move: Move };

/** Null: it was changed while the step waited its turn. */
function inPhase({ store }: ApplyContext, bot: string, phase: Move['phase'], generation: number): Moving | null {
  const record = findBot(store.current(), bot);
  const { move } = record;
  return move?.phase === phase && record.generation === generation ? { ...record, move } : null;
}

const placeOf = (place: Pick<BotRecord, 'placement'> | null | undefined): string => place?.placement?.container ?? '';

function away(bot: BotRecord, now: number): number | null {
  const left = bot.move?.left ?? null;
  return left === null || !wantsProcess(bot) ? null : (now - Date.parse(left)) / 1000;
}

/** What would be missing in the new place: sockets are made anew by the program, all else is somebody's. */
function lossOf({ damaged, skipped }: BackupFacts): string | null {
  const [broken] = damaged;
  if (broken !== undefined) return `its database ${broken.path} is damaged: ${broken.why}`;
  const missing = skipped.find(({ why }) => why !== NO_FILE);
  return missing === undefined ? null : `${missing.path}: ${missing.why}`;
}

/** As the plugin's snapshot.py says it of sockets, pipes and devices. */
const NO_FILE = 'neither a file, a directory nor a link';

async function putInPlace(context: ApplyContext, container: string, record: Moving, generation: number): Promise<void> {
  const { instanceId, move } = record;
  const facts = await context.carried.find(move.archive ?? '');
  if (facts === null) {
    await context.store.update(carryAgain(instanceId, context.clock.now()));
    throw new BunkhouseError(
      'STORE_UNAVAILABLE',
      `the data of ${instanceId} is gone from this disk; it is fetched again`,
    );
  }
  // What has changed in the failed place is the newer; what never left this one is worth keeping all the same.
  if (move.undone !== null && record.reserve === null) await keepPresent(context, container, record);
  const isBack = move.undone !== null;
  await replaceData(context, container, record, {
    upload: uploadName(facts.id, `${record.generation}`),
    chunks: context.carried.content(facts),
    generation,
    limit: isBack ? 'none' : 'own',
    tolerate: isBack,
  });
}
