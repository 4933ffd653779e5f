import type { BotView, ContainerView } from '../services/pool-api.ts';
import { concern, fallbackText } from './resources.ts';
import { count, mebibytes, table } from './text.ts';

/** Bots for people, one a line. `columns`: width of the terminal, 0 for none. */
export function botTable(bots: readonly BotView[], columns: number): string {
  const rows = bots.map((bot) => [
    bot.instanceId,
    bot.deleting ? `${bot.state}, deleting` : bot.state,
    bot.desired,
    bot.owner,
    bot.template,
    placeText(bot),
    String(bot.port ?? '-'),
    String(bot.pid ?? '-'),
    String(bot.restarts),
    mebibytes(bot.memory?.pssBytes ?? null),
    bot.reason || concern(bot),
  ]);
  const head = ['BOT', 'STATE', 'WANTED', 'OWNER', 'TEMPLATE', 'PLACE', 'PORT', 'PID', 'RESTARTS', 'MEMORY', 'REASON'];
  return table(head, rows, columns);
}

function placeText({ container, slot, mode }: BotView): string {
  if (container === null) return '-';
  return mode === 'legacy' ? `${container} (alone)` : `${container}/${slot}`;
}

/** Where each is, is told when there is more than one place. */
export function containerTable(containers: readonly ContainerView[], columns: number): string {
  const several = new Set(containers.map(({ location }) => location)).size > 1;
  const rows = containers.map((container) => [
    container.id,
    ...(several ? [container.location] : []),
    container.status,
    container.driver,
    container.mode === 'legacy' ? `${container.botsCount} alone` : `${container.botsCount}/${container.capacity}`,
    mebibytes(container.memory?.pssBytes ?? null),
    mebibytes(container.memory?.privateBytes ?? null),
    zygotesText(container),
    container.reason || emptyingText(container) || fallbackText(container.legacy),
  ]);
  const head = [
    'CONTAINER',
    ...(several ? ['LOCATION'] : []),
    'STATUS',
    'DRIVER',
    'BOTS',
    'MEMORY',
    'PRIVATE',
    'ZYGOTE',
    'REASON',
  ];
  return table(head, rows, columns);
}

/** Shared services, one a line; empty when there are none. */
export function serviceTable(containers: readonly ContainerView[], columns: number): string {
  const rows = containers.flatMap(({ id, services }) =>
    services.map((service) => [
      id,
      service.name,
      service.state,
      String(service.pid ?? '-'),
      String(service.restarts),
      mebibytes(service.memory?.pssBytes ?? null),
      serviceConcern(service),
    ]),
  );
  const head = ['CONTAINER', 'SERVICE', 'STATE', 'PID', 'RESTARTS', 'MEMORY', 'REASON'];
  return rows.length === 0 ? '' : `\n${table(head, rows, columns)}`;
}

const emptyingText = ({ emptying }: ContainerView): string => (emptying === null ? '' : `closed: ${emptying}`);

function serviceConcern({ state, reason, warning, outdated }: ContainerView['services'][number]): string {
  const changed = outdated ? 'its template was changed: starts anew when no bot runs' : '';
  return [state === 'running' ? '' : reason, warning, changed].filter((text) => text !== '').join('; ');
}

function zygotesText({ zygotes }: ContainerView): string {
  const texts = zygotes.map(({ state, forks }) => (state === 'ready' ? count(forks, 'fork') : state));
  return texts.join(', ') || '-';
}
