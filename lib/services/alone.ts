import type { AgentObservation } from '../domain/agent.ts';
import type { AloneSample } from '../domain/usage.ts';
import type { World } from '../planner/world.ts';
import { isoTime } from '../util/clock.ts';
import { containerMemory } from './memory.ts';

/** What the bots that run now would cost one per container. */
export interface OnePerContainer {
  readonly pssBytes: number;
  /** How much less their containers take now; negative when it is more. */
  readonly savedBytes: number;
  /** Of the templates in question. */
  readonly samples: readonly AloneSample[];
}

/** A bot has imported and built what it needs by then. */
const SETTLED_SECONDS = 60;

/** Null while there is no sample of the present version of one of the templates, or nothing runs. */
export function onePerContainer(world: World, samples: ReadonlyMap<string, AloneSample>): OnePerContainer | null {
  const agents = [...world.agents.values()].flatMap((agent) => (agent.kind === 'seen' ? [agent.value] : []));
  const running = agents.flatMap(({ bots }) => bots.filter(({ pid, memory }) => pid !== null && memory !== null));
  const costs = running.map(({ bot }) => {
    const of = templateOf(world, bot);
    return of === null ? undefined : samples.get(sampleKey(of));
  });
  const known = costs.filter((cost) => cost !== undefined);
  if (known.length === 0 || known.length < costs.length) return null;
  const pssBytes = known.reduce((sum, cost) => sum + cost.pssBytes, 0);
  const now = agents.reduce((sum, agent) => sum + (containerMemory(agent)?.pssBytes ?? 0), 0);
  return { pssBytes, savedBytes: pssBytes - now, samples: [...new Set(known)] };
}

/** The sample in a look just taken at a container: if it holds one bot alone, executed and settled, and no zygote. */
export function sampleOf(world: World, container: string, agent: AgentObservation): AloneSample | null {
  const [bot, ...others] = agent.bots;
  if (bot === undefined || others.length > 0 || agent.zygotes.length > 0) return null;
  const settled = bot.startedAt !== null && world.now / 1000 - bot.startedAt >= SETTLED_SECONDS;
  if (bot.state !== 'running' || bot.spawn?.kind !== 'exec' || !settled) return null;
  const of = templateOf(world, bot.bot);
  const total = containerMemory(agent);
  if (of === null || agent.overhead === null || bot.memory === null || total === null) return null;
  return { ...of, pssBytes: total.pssBytes, container, at: isoTime(world.now) };
}

export const sampleKey = ({ template, version }: Pick<AloneSample, 'template' | 'version'>): string =>
  `${template} ${version}`;

// Private

function templateOf({ state, templates }: World, bot: string): Pick<AloneSample, 'template' | 'version'> | null {
  const template = templates.get(state.bots.get(bot)?.template ?? '');
  return template === undefined ? null : { template: template.name, version: template.version };
}
