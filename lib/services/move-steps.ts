import { BunkhouseError } from '../domain/errors.ts';
import { whyImmovable } from '../planner/moves.ts';
import { findBot } from './bot-container-mapper.ts';
import type { ApplyContext, Executors } from './executors.ts';
import { beginMove } from './move-changes.ts';

type MoveSteps = 'beginMove';

/** How the steps of moves are carried out. */
export function moveExecutors({ store, events, templates, clock }: ApplyContext): Pick<Executors, MoveSteps> {
  return {
    async beginMove({ bot, to, cause }) {
      const before = findBot(store.current(), bot);
      const why = whyImmovable(before, templates.get(before.template));
      if (why !== null) throw new BunkhouseError('UNSUPPORTED', `${bot} cannot be moved: ${why}`);
      const { owner, move } = await store.update(beginMove(bot, to, cause, clock.now()));
      if (before.move !== move) events.emit({ type: 'bot.moving', bot, to }, owner);
    },
  };
}
