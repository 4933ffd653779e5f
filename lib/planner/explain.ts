import { reserveKey } from '../domain/lease.ts';
import type { MigrationPhase } from '../domain/migration.ts';
import type { Step } from '../domain/steps.ts';

/** A step as one sentence for people. */
export function explainStep(step: Step): string {
  switch (step.kind) {
    case 'recordContainer':
      return `reserve ports ${step.container.basePort} to ${step.container.basePort + step.container.capacity - 1} for a new container ${step.container.name}`;
    case 'assign':
      return `give ${step.bot} slot ${step.placement.slot} (port ${step.placement.port}) in ${step.placement.container}`;
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
  if (step.kind === 'shiftLeases' || step.kind === 'forgetLeases') return 'leases';
  return typeof step.container === 'string' ? step.container : step.container.name;
}
