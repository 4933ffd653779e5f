import { createHash } from 'node:crypto';
import { type BotRecord, belongsTo, type Desired } from '../domain/bot.ts';
import { BunkhouseError } from '../domain/errors.ts';
import { FILE_PATH, NAME } from '../domain/ids.ts';
import { chooseLocation } from '../domain/location.ts';
import type { Actor, State } from '../domain/state.ts';
import type { BotLimits, Template } from '../domain/template.ts';
import { renderSpec } from '../planner/render.ts';
import { isoTime } from '../util/clock.ts';
import { findBot, type NewBot } from './bot-container-mapper.ts';
import type { Dependencies } from './dependencies.ts';
import { chooseMode } from './modes.ts';
import type { ChangeBot, CreateBot, PoolOptions } from './pool-api.ts';

/** The bot if the actor may see it, else NOT_FOUND: an owner must not learn which ids others use. */
export function visibleBot(state: State, actor: Actor, instanceId: string): BotRecord {
  const bot = findBot(state, instanceId);
  if (actor.role === 'owner' && !belongsTo(bot, actor.owner)) {
    throw new BunkhouseError('NOT_FOUND', `there is no bot ${instanceId}`);
  }
  return bot;
}

/** What a new bot is made with. */
export type Making = Pick<Dependencies, 'templates' | 'clock' | 'secret' | 'locations' | 'limits'> &
  Pick<PoolOptions, 'defaultTemplate'>;

/** A new bot's record from a request. Throws INVALID, UNKNOWN_LOCATION, FORBIDDEN, UNSUPPORTED. */
export function newBot(deps: Making, actor: Actor, request: CreateBot): NewBot {
  const template = templateOf(deps.templates, request.template ?? deps.defaultTemplate);
  const location = chooseLocation(deps.locations, request.location);
  const owner = ownerOf(actor, request);
  const createdAt = isoTime(deps.clock.now());
  const bot: NewBot = {
    instanceId: request.instanceId,
    template: template.name,
    owner,
    group: groupOf(actor, request, template, owner),
    location,
    desired: request.desired ?? 'running',
    files: request.files ?? {},
    env: request.env ?? {},
    args: request.args ?? [],
    limits: request.limits ?? {},
    secrets: freshSecrets(template, {}, deps.secret),
    reserve: null,
    legacy: chooseMode(actor, request.mode, template, deps.limits, createdAt),
    createdAt,
  };
  checkDesired(template, bot.desired);
  checkLimits(actor, request.limits ?? {}, template);
  checkAgainstTemplate(bot, template);
  return bot;
}

/** What a change makes of a bot's record. Throws INVALID, FORBIDDEN. */
export function revisedBot(
  deps: Pick<Dependencies, 'templates' | 'secret'>,
  actor: Actor,
  bot: BotRecord,
  change: ChangeBot,
): Pick<BotRecord, 'files' | 'env' | 'args' | 'limits' | 'secrets'> {
  const template = templateOf(deps.templates, bot.template);
  const files = Object.entries({ ...bot.files, ...change.files }).filter(
    (entry): entry is [string, string] => entry[1] !== null,
  );
  const revised = {
    files: Object.fromEntries(files),
    env: change.env ?? bot.env,
    args: change.args ?? bot.args,
    limits: change.limits ?? bot.limits,
    secrets: freshSecrets(template, bot.secrets, deps.secret),
  };
  checkLimits(actor, change.limits ?? {}, template);
  checkAgainstTemplate({ ...bot, ...revised }, template);
  return revised;
}

export function checkDesired(template: Template | undefined, desired: Desired): void {
  if (desired === 'paused' && template?.control.pause === undefined) {
    throw new BunkhouseError(
      'UNSUPPORTED',
      `bots of template ${template?.name ?? '?'} cannot be paused; stop the bot instead`,
    );
  }
}

// Private

function templateOf(templates: ReadonlyMap<string, Template>, name: string): Template {
  const template = templates.get(name);
  if (template !== undefined) return template;
  const known = [...templates.keys()].join(', ') || 'none';
  throw new BunkhouseError('INVALID', `there is no template ${name}; known: ${known}`);
}

function ownerOf(actor: Actor, request: CreateBot): string {
  if (actor.role === 'admin') return request.owner ?? 'admin';
  if (request.owner !== undefined && request.owner !== actor.owner) {
    throw new BunkhouseError('FORBIDDEN', 'an owner can only make bots of its own');
  }
  return actor.owner;
}

/** Owners' names are not fit for container names and labels, so owner isolation uses a hash of them. */
function groupOf(actor: Actor, request: CreateBot, template: Template, owner: string): string {
  if (template.isolation === 'owner') {
    if (request.group !== undefined)
      throw new BunkhouseError('INVALID', `template ${template.name} gives each owner a group of its own`);
    return `o-${createHash('sha256').update(owner).digest('hex').slice(0, 24)}`;
  }
  if (request.group === undefined) return 'default';
  if (actor.role !== 'admin') throw new BunkhouseError('FORBIDDEN', 'only an admin chooses the trust group');
  if (!NAME.test(request.group))
    throw new BunkhouseError('INVALID', 'group: lower-case letters, digits and dashes only');
  return request.group;
}

/** Keeps the secrets there are, makes those that are missing (a template may have got new ones). */
export function freshSecrets(
  template: Template,
  existing: Readonly<Record<string, string>>,
  secret: (bytes: number) => string,
): Record<string, string> {
  const made = Object.entries(template.secrets).map(([name, { bytes }]) => [name, existing[name] ?? secret(bytes)]);
  return Object.fromEntries(made);
}

type Tighter = (wanted: number, bound: number) => boolean;
const fewer: Tighter = (wanted, bound) => wanted <= bound;
const more: Tighter = (wanted, bound) => wanted >= bound;

/** In which direction each limit is kinder to the neighbours. */
const TIGHTER: Readonly<Record<keyof BotLimits, Tighter>> = {
  memoryBytes: fewer,
  pssBytes: fewer,
  diskBytes: fewer,
  openFiles: fewer,
  processes: fewer,
  cpuWeight: fewer,
  nice: more,
};

/** Limits wall bots off from each other, so an owner may only make its own tighter. Null, no limit, is above all. */
export function checkLimits(actor: Actor, wanted: Partial<BotLimits>, template: Template): void {
  if (actor.role === 'admin') return;
  const size = (value: number | null): number => value ?? Number.POSITIVE_INFINITY;
  const names = Object.keys(TIGHTER) as (keyof BotLimits)[];
  const loosened = names.find((limit) => {
    const value = wanted[limit];
    return value !== undefined && !TIGHTER[limit](size(value), size(template.limits[limit]));
  });
  if (loosened === undefined) return;
  const allowed = `template ${template.name} has ${template.limits[loosened]}`;
  throw new BunkhouseError('FORBIDDEN', `only an admin may loosen the limit ${loosened}; ${allowed}`);
}

function checkAgainstTemplate(bot: NewBot, template: Template): void {
  const paths = Object.keys(bot.files);
  const bad = paths.find((path) => !FILE_PATH.test(path));
  if (bad !== undefined)
    throw new BunkhouseError('INVALID', `file path ${JSON.stringify(bad)} must be relative, without "." or ".." parts`);
  const missing = template.requiredFiles.filter((path) => !paths.includes(path));
  if (missing.length > 0)
    throw new BunkhouseError('INVALID', `template ${template.name} needs the file ${missing.join(', ')}`);
  const reserved = template.files.filter((file) => file.when === 'always' && paths.includes(file.path));
  if (reserved.length > 0) {
    throw new BunkhouseError(
      'INVALID',
      `the file ${reserved.map((file) => file.path).join(', ')} is written by Bunkhouse itself`,
    );
  }
  checkRendering(bot, template);
}

/** Placeholders in the owner's own arguments and environment are tried here, not when the bot is to start. */
function checkRendering(bot: NewBot, template: Template): void {
  const trial: BotRecord = {
    ...bot,
    deleting: false,
    archive: null,
    restore: null,
    move: null,
    placement: null,
    generation: 1,
    restartGeneration: 1,
    desiredGeneration: 1,
    controlledGeneration: 0,
  };
  renderSpec(trial, { container: '', slot: 0, port: 1 }, template, { host: '', directory: '', lease: null });
}
