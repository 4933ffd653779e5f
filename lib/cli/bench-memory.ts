import type { BotView, PoolStatus } from '../services/pool-api.ts';
import { count, facts, mebibytes } from './text.ts';

/** What one bot costs in a container of its own, and what all bots of the template take now and would take that way. */
export interface MemoryComparison {
  readonly template: string;
  /** Everything in the sample's container, and the bot alone. */
  readonly alone: { readonly pssBytes: number; readonly botPssBytes: number };
  /** Containers of the template beside the sample's, and the bots that run in them. */
  readonly now: { readonly containers: number; readonly bots: number; readonly pssBytes: number };
  /** The bots that run now, each in a container of its own. */
  readonly apart: { readonly pssBytes: number };
}

/** Null while something is not measured yet. */
export function compareMemory({ pools }: PoolStatus, bot: BotView): MemoryComparison | null {
  const own = pools.find(({ id }) => id === bot.container);
  const others = pools.filter(({ id, template }) => template === bot.template && id !== bot.container);
  const taken = others.map(({ memory }) => memory?.pssBytes ?? null);
  if (own?.memory == null || bot.memory === null || taken.includes(null)) return null;
  const running = others.flatMap(({ bots }) => bots).filter(({ state }) => state === 'running').length;
  return {
    template: bot.template,
    alone: { pssBytes: own.memory.pssBytes, botPssBytes: bot.memory.pssBytes },
    now: {
      containers: others.length,
      bots: running,
      pssBytes: taken.reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0),
    },
    apart: { pssBytes: running * own.memory.pssBytes },
  };
}

/** Whether nobody else sits in the bot's container. */
export const sitsAlone = ({ pools }: PoolStatus, bot: BotView): boolean =>
  pools.find(({ id }) => id === bot.container)?.bots.every(({ instanceId }) => instanceId === bot.instanceId) ?? false;

export function comparisonText({ template, alone, now, apart }: MemoryComparison): string {
  const rest = alone.pssBytes - alone.botPssBytes;
  const sample = [
    'one bot alone',
    `${mebibytes(alone.pssBytes)}: the bot ${mebibytes(alone.botPssBytes)}, its container ${mebibytes(rest)}`,
  ] as const;
  if (now.bots === 0) return `${facts([sample])}No other bot of template ${template} runs now to compare with.\n`;
  const saved = apart.pssBytes - now.pssBytes;
  return facts([
    sample,
    ['now', `${mebibytes(now.pssBytes)}: ${count(now.bots, 'bot')} in ${count(now.containers, 'container')}`],
    ['one per container', mebibytes(apart.pssBytes)],
    ['saved', `${mebibytes(saved)}, ${Math.round((saved / apart.pssBytes) * 100)}%`],
  ]);
}
