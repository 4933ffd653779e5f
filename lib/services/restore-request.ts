import type { BackupFacts, KeptBot } from '../domain/backup.ts';
import type { BotRecord } from '../domain/bot.ts';
import { BunkhouseError, messageOf } from '../domain/errors.ts';
import type { Actor } from '../domain/state.ts';
import type { RestoreRequest } from './backup-api.ts';
import type { NewBot } from './bot-container-mapper.ts';
import { checkLimits, type Making, newBot } from './bots.ts';
import type { Shelf } from './shelf.ts';

/** A backup and where it is kept. */
export interface Found {
  readonly shelf: Shelf;
  readonly facts: BackupFacts;
}

/** Secrets come along, because the data may depend on them, but not to another owner. */
export function remadeBot(
  deps: Making,
  actor: Actor,
  kept: KeptBot,
  { as, owner = kept.owner, start = false }: RestoreRequest & { readonly as: string },
): NewBot {
  if (actor.role === 'owner' && owner !== actor.owner)
    throw new BunkhouseError('FORBIDDEN', 'an owner can only make bots of its own');
  const { template, files, env, args, limits, location } = kept;
  const here = deps.locations.all.includes(location) ? { location } : {};
  const isolated = deps.templates.get(template)?.isolation === 'owner';
  const made = newBot(
    deps,
    { role: 'admin' },
    {
      instanceId: as,
      template,
      owner,
      files,
      env,
      args,
      limits,
      desired: start ? 'running' : 'stopped',
      ...here,
      ...(isolated ? {} : { group: kept.group }),
    },
  );
  const rule = deps.templates.get(template);
  if (rule !== undefined) checkLimits(actor, limits, rule);
  return { ...made, secrets: owner === kept.owner ? { ...made.secrets, ...kept.secrets } : made.secrets };
}

/** What whoever asked should know. `original`: the bot it is a copy of is still there. */
export function notesOn({ instanceId, desired }: BotRecord, facts: BackupFacts, original: boolean): string[] {
  const state =
    desired === 'stopped'
      ? `${instanceId} is made with the data of ${facts.id} and stays stopped; look at it, then: bunkhouse bots start ${instanceId}`
      : `${instanceId} is made with the data of ${facts.id} and is started.`;
  if (!original || facts.bot === instanceId) return [state];
  return [
    state,
    `${facts.bot} is still there: two bots with the same keys must not work on one account at the same time.`,
  ];
}

/** Before a bot is stopped for it: that it can be read to its end and is what was kept. */
export async function readThrough({ shelf, facts }: Found): Promise<void> {
  try {
    for await (const _ of shelf.content(facts));
  } catch (error) {
    if (error instanceof BunkhouseError && error.code !== 'INVALID') throw error;
    throw new BunkhouseError('INVALID', `${messageOf(error)}; choose another backup of it (bunkhouse backups list)`);
  }
}

export function damaged({ id, damaged: [first] }: BackupFacts): BunkhouseError {
  const next = 'choose another, or take it all the same with force';
  return new BunkhouseError('INVALID', `in ${id} the database ${first?.path} is damaged (${first?.why}): ${next}`);
}

export function taken(instanceId: string): BunkhouseError {
  const next = 'restore it as a bot of another id';
  return new BunkhouseError('CONFLICT', `${instanceId} is another bot now, of another owner or template: ${next}`);
}

export function unknownBot({ id, bot }: BackupFacts): BunkhouseError {
  const next = `make ${bot} as it was, stopped, then restore it in place`;
  return new BunkhouseError('INVALID', `with ${id} nobody wrote down template, owner and files of the bot: ${next}`);
}
