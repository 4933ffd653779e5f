import { type Command, Option } from 'commander';
import type { UpgradeAction } from '../../domain/upgrade.ts';
import type { BotForecast, Travelling, UpgradeForecast, UpgradeView } from '../../services/upgrade-api.ts';
import { action } from '../action.ts';
import type { Reply } from '../client.ts';
import { type Context, show } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { CliFailure, usageFailure } from '../failure.ts';
import { positive, type WaitOptions } from '../options.ts';
import { bar, count, facts, plain, table } from '../text.ts';

interface UpgradeOptions extends WaitOptions {
  readonly image?: string;
  readonly surge?: string;
  readonly pace?: string;
  readonly failureBudget?: string;
  readonly hold?: string;
  readonly dryRun?: true;
  readonly status?: true;
  readonly pause?: true;
  readonly resume?: true;
  readonly abort?: true;
  readonly force?: true;
}

const ACTIONS = ['pause', 'resume', 'abort', 'force'] as const satisfies readonly UpgradeAction[];
const EVERY_MS = 500;

/** `pool upgrade`: the bots of a template move into new containers, a few at a time. */
export function upgradeCommand(pool: Command): void {
  const command = pool
    .command('upgrade')
    .argument('[template]', 'whose containers are to be made anew (default: DEFAULT_TEMPLATE of the supervisor)')
    .description(
      'move all bots of a template into new containers, a few at a time; survives a restart of the supervisor',
    )
    .option('--image <name>', "of the new containers (default: the template's); local processes have none")
    .option('--surge <bots>', 'on their way at once, at the most (default: 2)')
    .option('--pace <seconds>', 'between the beginnings of two moves (default: 5)')
    .option('--failure-budget <moves>', 'that may fail before it stops (default: 2)')
    .option('--hold <seconds>', 'then also bots are moved that their template holds back (default: never)')
    .option('--dry-run', 'only say for each bot what it needs: nothing, a restart, or the move')
    .addOption(new Option('--status', 'show how far it is').conflicts([...ACTIONS, 'dryRun']))
    .addOption(new Option('--pause', 'begin no more moves').conflicts(['resume', 'abort']))
    .addOption(new Option('--resume', 'go on, also after it failed').conflicts(['abort']))
    .option('--abort', 'take it back: who has moved stays, who has not stays too')
    .option('--force', 'hold back nobody any more')
    .option(
      '--wait [seconds]',
      'show progress until it has ended; exit code 1 when not all have moved, 7 when it takes longer',
    );
  action<UpgradeOptions>(command, async ({ context, args: [template], options }) => {
    const wanted = ACTIONS.find((name) => options[name]);
    if (options.dryRun) return forecastOnly(context, template, options);
    if (options.status && options.wait === undefined) return showStatus(context, template);
    const reply = options.status
      ? await statusOf(context, template)
      : wanted === undefined
        ? await start(context, template, options)
        : await act(context, template, wanted);
    if (options.wait === undefined) return show(context, reply, upgradeText);
    const ended = await waitForEnd(context, reply, options.wait);
    show(context, ended, upgradeText);
    if (ended.json.status !== 'done') context.exitWith(EXIT.failed);
  });
}

// Private

interface Started {
  readonly forecast: UpgradeForecast;
  readonly upgrade: UpgradeView;
}

function requestOf(template: string | undefined, options: UpgradeOptions): Record<string, unknown> {
  const { image, surge, pace, failureBudget, hold } = options;
  return {
    ...(template === undefined ? {} : { template }),
    ...(image === undefined ? {} : { image }),
    ...(surge === undefined ? {} : { surge: positive(surge, '--surge') }),
    ...(pace === undefined ? {} : { spacingSeconds: amount(pace, '--pace') }),
    ...(failureBudget === undefined ? {} : { failureBudget: amount(failureBudget, '--failure-budget') }),
    ...(hold === undefined ? {} : { holdSeconds: amount(hold, '--hold') }),
  };
}

function amount(text: string, option: string): number {
  const number = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isFinite(number) && number >= 0) return number;
  throw usageFailure(`${option} takes a number, not ${JSON.stringify(text)}.`);
}

async function forecastOnly(context: Context, template: string | undefined, options: UpgradeOptions): Promise<void> {
  const body = { ...requestOf(template, options), dryRun: true };
  const reply = await context.client.call<{ forecast: UpgradeForecast }>('POST', '/api/pool/upgrade', { body });
  show(context, { ...reply, json: reply.json.forecast }, (found) => forecastText(found, context.columns));
}

async function start(
  context: Context,
  template: string | undefined,
  options: UpgradeOptions,
): Promise<Reply<UpgradeView>> {
  const body = requestOf(template, options);
  const reply = await context.client.call<Started>('POST', '/api/pool/upgrade', { body });
  return part(reply, reply.json.upgrade);
}

async function act(context: Context, template: string | undefined, wanted: UpgradeAction): Promise<Reply<UpgradeView>> {
  const name = template ?? (await onlyOne(context));
  return context.client.call<UpgradeView>('POST', pathOf(name), { body: { action: wanted } });
}

async function statusOf(context: Context, template: string | undefined): Promise<Reply<UpgradeView>> {
  return context.client.call<UpgradeView>('GET', pathOf(template ?? (await onlyOne(context))));
}

async function showStatus(context: Context, template: string | undefined): Promise<void> {
  if (template !== undefined) return show(context, await statusOf(context, template), upgradeText);
  const reply = await context.client.call<{ upgrades: UpgradeView[] }>('GET', '/api/pool/upgrade');
  show(context, reply, ({ upgrades }) =>
    upgrades.length === 0 ? 'There was no upgrade yet.\n' : upgrades.map(upgradeText).join('\n'),
  );
}

/** The template of the only upgrade that is not over. */
async function onlyOne(context: Context): Promise<string> {
  const { json } = await context.client.call<{ upgrades: UpgradeView[] }>('GET', '/api/pool/upgrade');
  const open = json.upgrades.filter(({ endedAt, status }) => endedAt === null || status === 'failed');
  const [only] = open;
  if (only !== undefined && open.length === 1) return only.template;
  const names = open.map(({ template }) => template).join(', ');
  throw usageFailure(names === '' ? 'No upgrade is under way.' : `Say which one: ${names}.`);
}

async function waitForEnd(
  context: Context,
  first: Reply<UpgradeView>,
  wait: string | true,
): Promise<Reply<UpgradeView>> {
  const end = wait === true ? Number.POSITIVE_INFINITY : context.now() + positive(wait, '--wait') * 1000;
  let reply = first;
  while (reply.json.endedAt === null) {
    if (context.now() >= end) throw tooLate(reply.json);
    context.progress.update(progressLine(reply.json));
    await context.sleep(EVERY_MS);
    reply = (await lookAgain(context, reply.json.template)) ?? reply;
  }
  context.progress.clear();
  return reply;
}

/** Null while the supervisor is away: the upgrade goes on when it is back. */
async function lookAgain(context: Context, template: string): Promise<Reply<UpgradeView> | null> {
  try {
    return await context.client.call<UpgradeView>('GET', pathOf(template));
  } catch (error) {
    if (error instanceof CliFailure && error.exitCode === EXIT.unavailable) return null;
    throw error;
  }
}

const pathOf = (template: string): string => `/api/pool/upgrade/${encodeURIComponent(template)}`;

function part<T>(reply: Reply<unknown>, json: T): Reply<T> {
  return { ...reply, json };
}

function tooLate(upgrade: UpgradeView): CliFailure {
  return new CliFailure(EXIT.timedOut, `The upgrade goes on: ${progressLine(upgrade)}.`, {
    next: `Watch it: bunkhouse pool upgrade ${upgrade.template} --status --wait.`,
  });
}

/** Without what changes all the time, so that it is one line a change where there is no terminal. */
function progressLine({ template, status, moved, left, onTheirWay, heldBack, failures }: UpgradeView): string {
  const all = moved + left + onTheirWay.length;
  const parts = [
    `${bar(moved, all)} ${moved}/${all} moved`,
    ...(onTheirWay.length > 0 ? [`${onTheirWay.length} on their way`] : []),
    ...(heldBack.length > 0 ? [`${heldBack.length} held back`] : []),
    ...(failures.length > 0 ? [`${failures.length} failed`] : []),
  ];
  return `${template} ${status === 'running' ? '' : `(${status}) `}${parts.join(', ')}`;
}

function upgradeText(upgrade: UpgradeView): string {
  const { template, image, status, moved, left, onTheirWay, heldBack, failures, failureBudget, containers } = upgrade;
  const next = NEXT[status];
  const lines = [
    ...onTheirWay.map(travellingLine),
    ...heldBack.map(({ bot, why }) => `  ${bot}: held back, ${why}`),
    ...failures.map(({ bot, why }) => `  ${bot}: failed, ${why}`),
  ];
  return [
    facts([
      ['upgrade', template],
      ['image', image ?? '-'],
      ['status', next === undefined ? status : `${status}: ${next}`],
      ['moved', String(moved)],
      ['left', String(left)],
      ['on their way', String(onTheirWay.length)],
      ['held back', `${heldBack.length}${heldBack.length > 0 ? ' (--force moves them too)' : ''}`],
      ['failed', `${failures.length} of ${failureBudget} that may`],
      ['old containers', containers.join(', ') || '-'],
    ]),
    ...lines.map((line) => `  ${plain(line)}\n`),
  ].join('');
}

function travellingLine({ bot, phase, undone, trouble }: Travelling): string {
  const parts = [undone === null ? phase : `goes back (${phase}): ${undone}`, ...(trouble === null ? [] : [trouble])];
  return `  ${bot}: ${parts.join('; ')}`;
}

const NEXT: Readonly<Partial<Record<UpgradeView['status'], string>>> = {
  paused: '--resume goes on, --abort takes it back',
  stopping: 'bots on their way arrive or go back',
  failed: 'bots that have not moved run where they were; --resume tries again once the cause is gone',
};

function forecastText({ template, image, bots }: UpgradeForecast, columns: number): string {
  if (bots.length === 0) return `There is no bot of template ${template}.\n`;
  const rows = bots.map(({ instanceId, container, needs, why }) => [instanceId, container ?? '-', needs, why]);
  const many = (needs: BotForecast['needs']): number => bots.filter((bot) => bot.needs === needs).length;
  const parts = (['stays', 'restart', 'move', 'replace', 'unknown'] as const)
    .filter((needs) => many(needs) > 0)
    .map((needs) => `${many(needs)} ${SUMMARY[needs]}`);
  const head = `${count(bots.length, 'bot')} of ${template}${image === null ? '' : `, new containers of ${image}`}`;
  return `${table(['BOT', 'CONTAINER', 'NEEDS', 'WHY'], rows, columns)}\n${head}: ${parts.join(', ')}. An upgrade moves all of them.\n`;
}

const SUMMARY: Readonly<Record<BotForecast['needs'], string>> = {
  stays: 'as the template is now',
  restart: 'need a restart (bots restart)',
  move: 'need a new container',
  replace: 'warm, made anew',
  unknown: 'not known',
};
