import type { BotLimits } from '../../../domain/template.ts';
import type { Controller, Tree } from './trees.ts';

/** What is written into a file of a bot's cgroup. */
export interface Setting {
  readonly controller: Controller;
  readonly file: string;
  readonly value: string;
  /** Not there on every kernel: then it is left out. */
  readonly optional: boolean;
}

/** Above the ceiling that the plugin watches, so that a bot is restarted gracefully first, and killed only when it is too quick for that. */
const MEMORY_SLACK = 1.25;
const LEAST_SHARES = 2;

/** What holds a bot to its limits in this tree, in the order of writing. Complete: it also takes away earlier limits. */
export function settingsOf(tree: Pick<Tree, 'version' | 'controllers'>, limits: BotLimits): readonly Setting[] {
  const all = tree.version === 1 ? first(limits) : second(limits);
  return all.filter(({ controller }) => tree.controllers.includes(controller));
}

/** The hard limit of a bot's memory; null: none. */
export function memoryLimit({ pssBytes }: BotLimits): number | null {
  return pssBytes === null ? null : Math.floor(pssBytes * MEMORY_SLACK);
}

/** File that tells how much memory a cgroup holds. */
export const memoryUsage = ({ version }: Pick<Tree, 'version'>): string =>
  version === 1 ? 'memory.usage_in_bytes' : 'memory.current';

// Private

/** What a bot may not hold in memory it may not hold in swap either. */
function first(limits: BotLimits): readonly Setting[] {
  const memory = memoryLimit(limits);
  const both = 'memory.memsw.limit_in_bytes';
  return [
    // The limit of both may never be below the other: out of the way, then down again.
    optional('memory', both, -1),
    required('memory', 'memory.limit_in_bytes', memory ?? -1),
    ...(memory === null ? [] : [optional('memory', both, memory)]),
    required('cpu', 'cpu.shares', Math.max(LEAST_SHARES, Math.round((limits.cpuWeight * 1024) / 100))),
    required('pids', 'pids.max', limits.processes ?? 'max'),
  ];
}

function second(limits: BotLimits): readonly Setting[] {
  const memory = memoryLimit(limits);
  return [
    required('memory', 'memory.max', memory ?? 'max'),
    optional('memory', 'memory.swap.max', memory === null ? 'max' : 0),
    // A bot that lost one of its processes is of no use: all or none.
    optional('memory', 'memory.oom.group', 1),
    required('cpu', 'cpu.weight', limits.cpuWeight),
    required('pids', 'pids.max', limits.processes ?? 'max'),
  ];
}

const required = (controller: Controller, file: string, value: number | string): Setting => ({
  controller,
  file,
  value: String(value),
  optional: false,
});

const optional = (controller: Controller, file: string, value: number | string): Setting => ({
  ...required(controller, file, value),
  optional: true,
});
