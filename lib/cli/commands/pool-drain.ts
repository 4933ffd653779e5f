import type { Command } from 'commander';
import type { DrainView } from '../../services/upgrade-api.ts';
import { action } from '../action.ts';
import type { Reply } from '../client.ts';
import { type Context, show } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { CliFailure } from '../failure.ts';
import { positive, type WaitOptions } from '../options.ts';
import { bar, count, plain } from '../text.ts';

interface DrainOptions extends WaitOptions {
  readonly surge?: string;
  readonly force?: true;
  readonly undo?: true;
}

const EVERY_MS = 500;

/** `pool drain`: a container is emptied for its maintenance. */
export function drainCommand(pool: Command): void {
  const command = pool
    .command('drain')
    .argument('[container]', 'to empty; left out: show those that are')
    .description('move all bots out of a container; it stays, closed, until --undo or a cleanup')
    .option('--surge <bots>', 'on their way at once, at the most (default: 2)')
    .option('--force', 'also bots that their template holds back')
    .option('--undo', 'open it again; who has left stays away')
    .option('--wait [seconds]', 'show progress until it is empty; exit code 7 when it takes longer');
  action<DrainOptions>(command, async ({ context, args: [container], options }) => {
    if (container === undefined) return list(context);
    const { surge, force, undo, wait } = options;
    const how = { ...(surge === undefined ? {} : { surge: positive(surge, '--surge') }), ...(force ? { force } : {}) };
    const body = undo ? { container, undo } : { container, ...how };
    const reply = await context.client.call<DrainView>('POST', '/api/pool/drain', { body });
    show(context, undo || wait === undefined ? reply : await untilEmpty(context, reply, wait), drainText);
  });
}

// Private

async function list(context: Context): Promise<void> {
  const reply = await context.client.call<{ drains: DrainView[] }>('GET', '/api/pool/drain');
  show(context, reply, ({ drains }) =>
    drains.length === 0 ? 'No container is drained.\n' : drains.map(drainText).join(''),
  );
}

async function untilEmpty(context: Context, first: Reply<DrainView>, wait: string | true): Promise<Reply<DrainView>> {
  const end = wait === true ? Number.POSITIVE_INFINITY : context.now() + positive(wait, '--wait') * 1000;
  const { container } = first.json;
  const all = first.json.left + first.json.onTheirWay.length;
  let view: DrainView | undefined = first.json;
  while (view !== undefined && view.left + view.onTheirWay.length > 0) {
    const left = view.left + view.onTheirWay.length;
    if (context.now() >= end)
      throw new CliFailure(EXIT.timedOut, `${container} still has ${count(left, 'bot')}.`, {
        next: `It goes on. Look again: bunkhouse pool drain`,
      });
    context.progress.update(`${container} ${bar(all - left, all)} ${count(left, 'bot')} left`);
    await context.sleep(EVERY_MS);
    const { json } = await context.client.call<{ drains: DrainView[] }>('GET', '/api/pool/drain');
    view = json.drains.find((drain) => drain.container === container);
  }
  context.progress.clear();
  return { ...first, json: view ?? { ...first.json, left: 0, onTheirWay: [], heldBack: [] } };
}

function drainText({ container, status, left, onTheirWay, heldBack, roomElsewhere }: DrainView): string {
  if (status === 'open') return `${plain(container)}: open\n`;
  const rest = left + onTheirWay.length;
  if (rest === 0) return `${plain(container)}: closed and empty\n`;
  const more = Math.max(0, left - roomElsewhere);
  const room = more === 0 ? '' : `; a new container is made for ${count(more, 'bot')} that others have no room for`;
  const lines = [
    `${container}: closed, ${count(left, 'bot')} left, ${onTheirWay.length} on their way${room}`,
    ...heldBack.map(({ bot, why }) => `  ${bot}: held back, ${why} (--force moves it too)`),
  ];
  return lines.map((line) => `${line.startsWith('  ') ? '  ' : ''}${plain(line)}\n`).join('');
}
