import { type Fallback, fallbackOf } from '../../domain/spawn.ts';
import type { ContainerView, LocationView, PoolStatus } from '../../services/pool-api.ts';
import { count } from '../text.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

/** What a running supervisor knows of its containers that no look at the machine shows. Pure. */

const SWITCH_ON = 'echo 1 | sudo tee /sys/kernel/mm/ksm/run';
const PRICE = 'It costs CPU time (ksmd), and lets a bot time whether another has a page equal to its own.';

const WHAT_TO_DO: Readonly<Record<Exclude<Fallback, 'switched-off'>, string>> = {
  variable:
    'Take the variable out of its env, or put it into prefork.env of the template for all its bots; then restart it.',
  python: 'Put program and Python into one venv that is first in BOT_PATH, or set prefork.python in the template.',
  zygote: 'Put right what ails the zygote (below), then restart the bots: until then they share no memory.',
  other: 'Restart it when that is put right: until then it shares no memory.',
};

/** `ksm`: what /sys/kernel/mm/ksm/run holds; null: there is none. */
export function runningFindings({ pools, locations }: PoolStatus, ksm: string | null): Finding[] {
  return [
    ...pools.flatMap(fallbacks),
    ...pools.flatMap(alone),
    ...pools.flatMap(zygotes),
    ...pools.flatMap(services),
    ...sharing(pools),
    ...merging(pools, ksm),
    ...cgroups(pools),
    ...unreachable(locations),
  ];
}

// Private

function fallbacks({ id, bots }: ContainerView): Finding[] {
  const fallen = bots.filter(({ spawn }) => fallbackOf(spawn) !== null);
  return [...Map.groupBy(fallen, ({ spawn }) => spawn?.reason ?? '')].map(([reason, some]) => {
    const names = some.slice(0, 3).map(({ instanceId }) => instanceId);
    const who = some.length > 3 ? `${names.join(', ')} and ${some.length - 3} more` : names.join(', ');
    const kind = fallbackOf(some[0]?.spawn ?? null) ?? 'other';
    const found = `${id}: ${who}: ${reason}`;
    return kind === 'switched-off' ? ok('not forked', found) : warn('not forked', found, WHAT_TO_DO[kind]);
  });
}

function alone({ id, bots, legacy }: ContainerView): Finding[] {
  const [bot] = bots;
  if (legacy?.cause !== 'fallback' || bot === undefined) return [];
  const found = `${id}: ${bot.instanceId} is alone since ${legacy.since}, because the pool could not take it: ${legacy.why}`;
  return [warn('legacy', found, `When that is put right, bring it in: bunkhouse bots pool ${bot.instanceId}`)];
}

function zygotes({ id, template, zygotes }: ContainerView): Finding[] {
  return zygotes.map(({ state, reason, notes, forks }) => {
    if (state === 'failed' || reason !== '') {
      const next = `Its output is the log .zygote-… in the container's logs; see prefork in template ${template}. It is tried again by itself.`;
      return warn('zygote', `${id}: ${state}: ${reason}`, next);
    }
    return ok('zygote', [`${id}: ${state}, ${count(forks, 'fork')}`, ...notes].join('; '));
  });
}

function services({ id, template, services }: ContainerView): Finding[] {
  return services.map(({ name, state, reason, warning, restarts, outdated }) => {
    if (state !== 'running') {
      const next = `See bunkhouse pool service-logs ${id} ${name}, and services.${name} in template ${template}. It is tried again by itself; bots wait for it.`;
      return warn('service', `${id}: ${name} is ${state}${reason && `: ${reason}`}`, next);
    }
    if (warning !== '')
      return warn('service', `${id}: ${name}: ${warning}`, `Raise its limits in template ${template}.`);
    const changed = outdated ? '; its template was changed, and it starts anew when no bot of the container runs' : '';
    return ok('service', `${id}: ${name} runs, ${count(restarts, 'restart')}${changed}`);
  });
}

function sharing(pools: readonly ContainerView[]): Finding[] {
  const living = pools.flatMap(({ bots }) => bots).filter(({ spawn }) => spawn !== null);
  const forked = living.filter(({ spawn }) => spawn?.kind === 'prefork').length;
  return living.length === 0
    ? []
    : [ok('shared memory', `${forked} of ${count(living.length, 'bot')} forked from a zygote`)];
}

function merging(pools: readonly ContainerView[], ksm: string | null): Finding[] {
  const wanting = new Set(
    pools.filter(({ zygotes }) => zygotes.some(({ merge }) => merge)).map(({ template }) => template),
  );
  if (wanting.size === 0) return [];
  const names = [...wanting].join(', ');
  if (ksm === '1') return [ok('page merging', `on (KSM), as ${names} asks`)];
  const found = `off (KSM), although ${names} asks for it`;
  return [warn('page merging', found, `Switch it on: ${SWITCH_ON}. ${PRICE} Or set prefork.merge to off.`)];
}

function unreachable(locations: readonly LocationView[]): Finding[] {
  return locations
    .filter(({ reachable }) => !reachable)
    .map(({ name, reason }) => {
      const next = 'Its bots are unknown and left alone until it answers again: see to its engine, or to LOCATIONS.';
      return fail('location', `${name}: ${reason}`, next);
    });
}

/** Docker's may be made from outside as well, which the container does not know. */
function cgroups(pools: readonly ContainerView[]): Finding[] {
  const lacking = pools.filter(({ driver, cgroups }) => driver === 'process' && (cgroups?.reason ?? '') !== '');
  return [...Map.groupBy(lacking, ({ cgroups }) => cgroups?.reason ?? '')].map(([reason, some]) =>
    warn(
      'walls of bots',
      `${some.map(({ id }) => id).join(', ')}: ${reason}`,
      'What its bots have no cgroup for, only rlimits and the watch over their memory hold: see "control groups".',
    ),
  );
}
