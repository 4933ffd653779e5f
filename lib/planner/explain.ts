import { reserveKey } from '../domain/lease.ts';
import type { MigrationPhase } from '../domain/migration.ts';
import type { Destination } from '../domain/move.ts';
import type { Step } from '../domain/steps.ts';

/** A step as one sentence for people. */
export function explainStep(step: Step): string {
  switch (step.kind) {
    case 'recordContainer':
      return `reserve ports ${step.container.basePort} to ${step.container.basePort + step.container.capacity - 1} for a new container ${step.container.name}`;
    case 'assign':
      return `give ${step.bot} slot ${step.placement.slot} (port ${step.placement.port}) in ${step.placement.container}`;
    case 'beginMove':
      return `move ${step.bot} to ${explainDestination(step.to)}`;
    case 'fallBack':
      return `give ${step.bot} a container of its own, because the pool cannot take it: ${step.why}`;
    case 'rejoinPool':
      return `bring ${step.bot} back into the pool, because it cannot have a container of its own`;
    case 'claimPlace':
      return `keep slot ${step.placement.slot} (port ${step.placement.port}) in ${step.placement.container} for ${step.bot}, which moves there`;
    case 'askBot':
      return `ask ${step.bot} what it will have to show after its move`;
    case 'leavePlace':
      return `hold ${step.bot} stopped for its move`;
    case 'beginCarrying':
      return `take ${step.bot} for stopped where its data is`;
    case 'carryBot':
      return `fetch the data of ${step.bot} from ${step.container}`;
    case 'crossOver':
      return `have ${step.bot} arrive in its other place`;
    case 'arriveBot':
      return `put the data of ${step.bot} in place in ${step.container}`;
    case 'proveBot':
      return `ask ${step.bot} whether it has all it had`;
    case 'takeForProven':
      return `take the move of ${step.bot} for proven by its data`;
    case 'undoMove':
      return `take the move of ${step.bot} back: ${step.why}`;
    case 'clearPlace':
      return `clear what is left of ${step.bot} in ${step.container}`;
    case 'endMove':
      return `end the move of ${step.bot}: ${step.container} is gone`;
    case 'raiseGeneration':
      return `go on from generation ${step.to}, because an older copy of the store was brought back`;
    case 'followNewest':
      return `take ${step.bot} for where it is seen last, in ${step.placement.container}: an older copy of the store was brought back`;
    case 'createContainer':
      return `make container ${step.container.name}`;
    case 'startContainer':
      return `start container ${step.container}`;
    case 'applyBot':
      return `${step.spec.run ? 'run' : 'stop'} ${step.spec.bot} in ${step.container} (generation ${step.spec.generation})`;
    case 'archiveBot':
      return `archive the data of ${step.bot}`;
    case 'restoreBot':
      return `put a backup in place of the data of ${step.bot}`;
    case 'removeBot':
      return `remove ${step.bot} from ${step.container}`;
    case 'forgetBot':
      return `forget ${step.bot}`;
    case 'restartBot':
      return `restart ${step.bot}: ${step.why}`;
    case 'controlBot':
      return `${step.action} ${step.bot} by its control call`;
    case 'retireContainer':
      return `give up container ${step.container}, which nobody needs any more`;
    case 'removeContainer':
      return `remove empty container ${step.container}`;
    case 'addReserve':
      return `make ${step.count} warm bots of template ${step.template} in ${step.location}`;
    case 'admitReady':
      return `take ${step.bot} for ready`;
    case 'demoteReady':
      return `take ${step.bot} for ready no more: ${step.why}`;
    case 'giveUpWarming':
      return `give up ${step.bot}: ${step.why}`;
    case 'shiftLeases':
      return `move all leases by ${step.byMs / 1000} s, because the clock was set`;
    case 'forgetLeases':
      return 'forget leases that ended long ago';
    case 'expireLease':
      return `end the lease of ${step.bot}, which is over`;
    case 'resetBot':
      return `clean ${step.bot} after its lease`;
    case 'discardBot':
      return `delete ${step.bot} with its data: ${step.why}`;
    case 'consolidate':
      return `empty ${step.container}: its ${step.bots === 1 ? 'bot fits' : `${step.bots} bots fit`} into other containers of its pool`;
    case 'reopenContainer':
      return `open ${step.container} again: its bots do not fit into others any more`;
    case 'endUpgrade':
      return `end the upgrade of ${step.template}`;
    case 'migrate':
      return `bring ${step.bot} over: ${PHASE_WORK[step.phase] ?? step.phase}`;
    case 'turnMigration':
      return `bring ${step.bot} over: from ${step.from} to ${step.to}`;
    case 'undoMigration':
      return `bring ${step.bot} back to where it came from: ${step.why}`;
    case 'forgetContainer':
      return `forget container ${step.container}`;
  }
}

export function explainDestination(to: Destination): string {
  switch (to.kind) {
    case 'pool':
      return 'another container of its pool';
    case 'container':
      return to.container;
    case 'alone':
      return 'a container of its own';
    case 'location':
      return `location ${to.location}`;
  }
}
const PHASE_WORK: Partial<Record<MigrationPhase, string>> = {
  waiting: 'look at it once more and make its bot',
  stopping: 'stop the old one',
  copying: 'keep its data as a backup',
  comparing: 'compare the data of the bot with that backup',
  proving: 'prove that the bot lost nothing',
  returning: 'carry back what the bot did',
  reviving: 'give the old one its life back',
  clearing: 'remove the old one',
};

/** What a step is about, by name. */
export function stepTarget(step: Step): string {
  if ('bot' in step) return step.bot;
  if (step.kind === 'applyBot') return step.spec.bot;
  if (step.kind === 'addReserve') return reserveKey(step);
  if (step.kind === 'raiseGeneration') return 'generation';
  if (step.kind === 'endUpgrade') return step.template;
  if (step.kind === 'shiftLeases' || step.kind === 'forgetLeases') return 'leases';
  return typeof step.container === 'string' ? step.container : step.container.name;
}
