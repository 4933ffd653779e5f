import type { BotView, ContainerView } from '../services/pool-api.ts';
import { concern } from './resources.ts';
import { count, mebibytes, table } from './text.ts';

/** Bots for people, one a line. `columns`: width of the terminal, 0 for none. */
export function botTable(bots: readonly BotView[], columns: number): string {
  const rows = bots.map((bot) => [
    bot.instanceId,
    bot.deleting ? `${bot.state}, deleting` : bot.state,
    bot.desired,
    bot.owner,
    bot.template,
    bot.container === null ? '-' : `${bot.container}/${bot.slot}`,
    String(bot.port ?? '-'),
    String(bot.pid ?? '-'),
    String(bot.restarts),
    mebibytes(bot.memory?.pssBytes ?? null),
    bot.reason || concern(bot),
  ]);
  const head = ['BOT', 'STATE', 'WANTED', 'OWNER', 'TEMPLATE', 'PLACE', 'PORT', 'PID', 'RESTARTS', 'MEMORY', 'REASON'];
  return table(head, rows, columns);
}

export function containerTable(containers: readonly ContainerView[], columns: number): string {
  const rows = containers.map((container) => [
    container.id,
    container.status,
    container.driver,
    `${container.botsCount}/${container.capacity}`,
    mebibytes(container.memory?.pssBytes ?? null),
    mebibytes(container.memory?.privateBytes ?? null),
    zygotesText(container),
    container.reason,
  ]);
  return table(['CONTAINER', 'STATUS', 'DRIVER', 'BOTS', 'MEMORY', 'PRIVATE', 'ZYGOTE', 'REASON'], rows, columns);
}

function zygotesText({ zygotes }: ContainerView): string {
  const texts = zygotes.map(({ state, forks }) => (state === 'ready' ? count(forks, 'fork') : state));
  return texts.join(', ') || '-';
}
