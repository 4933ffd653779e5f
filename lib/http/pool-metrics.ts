import { Gauge, type Registry } from 'prom-client';
import { BOT_STATES } from '../domain/bot.ts';
import { FALLBACKS, fallbackOf } from '../domain/spawn.ts';
import type { ContainerView, PoolStatus } from '../services/pool-api.ts';

type Setter = (status: PoolStatus) => void;

/** Amounts of a container that add up to those of its pool. */
const AMOUNTS: readonly { name: string; help: string; measure: (container: ContainerView) => number }[] = [
  { name: 'containers', help: 'Containers of a pool', measure: () => 1 },
  { name: 'slots', help: 'Slots of a pool', measure: (view) => view.capacity },
  { name: 'bots', help: 'Bots in a pool', measure: (view) => view.botsCount },
  {
    name: 'pss_bytes',
    help: 'Memory of a pool, shared pages counted once',
    measure: (view) => view.memory?.pssBytes ?? 0,
  },
  {
    name: 'private_bytes',
    help: 'Memory of a pool that processes have for themselves',
    measure: (view) => view.memory?.privateBytes ?? 0,
  },
  {
    name: 'shared_bytes',
    help: 'Memory of a pool that processes share, counted for each of them',
    measure: (view) => view.memory?.sharedBytes ?? 0,
  },
  { name: 'swap_bytes', help: 'Swapped memory of a pool', measure: (view) => view.memory?.swapBytes ?? 0 },
  {
    name: 'zygote_starts',
    help: 'How often the zygotes there are were started',
    measure: (view) => view.zygotes.reduce((sum, { starts }) => sum + starts, 0),
  },
  {
    name: 'service_restarts',
    help: 'Starts of the shared services there are that nobody asked for',
    measure: (view) => view.services.reduce((sum, { restarts }) => sum + restarts, 0),
  },
  {
    name: 'service_pss_bytes',
    help: 'Memory of the shared services of a pool, within that of the pool',
    measure: (view) => view.services.reduce((sum, { memory }) => sum + (memory?.pssBytes ?? 0), 0),
  },
];

/** Things in a container that are counted by a kind. */
const KINDS: readonly {
  name: string;
  help: string;
  label: string;
  kinds: readonly string[];
  kindsIn: (container: ContainerView) => readonly (string | null | undefined)[];
}[] = [
  {
    name: 'spawned_bots',
    help: 'Living bots by how they were started',
    label: 'kind',
    kinds: ['prefork', 'exec'],
    kindsIn: (view) => view.bots.map(({ spawn }) => spawn?.kind),
  },
  {
    name: 'fallbacks',
    help: 'Living bots that were executed although their template wants them forked, by kind of reason',
    label: 'reason',
    kinds: FALLBACKS,
    kindsIn: (view) => view.bots.map(({ spawn }) => fallbackOf(spawn)),
  },
  {
    name: 'services',
    help: 'Shared services by state',
    label: 'state',
    kinds: ['starting', 'running', 'backoff', 'stopping', 'stopped'],
    kindsIn: (view) => view.services.map(({ state }) => state),
  },
  {
    name: 'zygotes',
    help: 'Zygotes by state',
    label: 'state',
    kinds: ['starting', 'ready', 'failed'],
    kindsIn: (view) => view.zygotes.map(({ state }) => state),
  },
];

/** Gauges of pools, and the function that sets them all from one status. */
export function poolMetrics(registry: Registry): Setter {
  const parts = [statesOfBots(registry), amounts(registry), kinds(registry), savings(registry)];
  return (status) => {
    for (const set of parts) set(status);
  };
}

// Private

const poolOf = ({ template, group, location }: ContainerView): string => `${template}/${group}/${location}`;

function statesOfBots(registry: Registry): Setter {
  const gauge = gaugeOf(registry, 'bunkhouse_bots', 'Bots by observed state', ['state']);
  return ({ health }) => {
    for (const state of BOT_STATES) gauge.set({ state }, health.bots[state]);
  };
}

function amounts(registry: Registry): Setter {
  const gauges = AMOUNTS.map(({ name, help, measure }) => ({
    gauge: gaugeOf(registry, `bunkhouse_pool_${name}`, help, ['pool']),
    measure,
  }));
  return ({ pools }) => {
    for (const { gauge, measure } of gauges) {
      gauge.reset();
      for (const view of pools) gauge.inc({ pool: poolOf(view) }, measure(view));
    }
  };
}

/** Kinds that are not there now are 0, so that an alarm need not tell nothing from none. */
function kinds(registry: Registry): Setter {
  const gauges = KINDS.map((kind) => ({
    ...kind,
    gauge: gaugeOf(registry, `bunkhouse_pool_${kind.name}`, kind.help, ['pool', kind.label]),
  }));
  return ({ pools }) => {
    for (const { gauge, label, kinds, kindsIn } of gauges) {
      gauge.reset();
      for (const view of pools) {
        const found = kindsIn(view);
        const many = (kind: string): number => found.filter((other) => other === kind).length;
        for (const kind of kinds) gauge.inc({ pool: poolOf(view), [label]: kind }, many(kind));
      }
    }
  };
}

function savings(registry: Registry): Setter {
  const help = 'What the running bots would cost one per container; not there while no sample of that was taken';
  const gauge = gaugeOf(registry, 'bunkhouse_one_per_container_pss_bytes', help, []);
  return ({ onePerContainer }) => {
    gauge.remove();
    if (onePerContainer !== null) gauge.set(onePerContainer.pssBytes);
  };
}

function gaugeOf(registry: Registry, name: string, help: string, labelNames: string[]): Gauge {
  return new Gauge({ name, help, labelNames, registers: [registry] });
}
