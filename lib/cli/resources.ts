import type { BotView, MemoryView, PoolStatus, ResourcesView } from '../services/pool-api.ts';
import { mebibytes } from './text.ts';

/** What bots and containers take, in words. Pure. */

/** `exec!`: executed although its template wants it forked. */
export function spawnMark({ spawn }: ResourcesView): string {
  if (spawn === null) return '-';
  if (spawn.kind === 'prefork') return 'fork';
  return spawn.reason === '' ? 'exec' : 'exec!';
}

export function spawnText({ spawn }: ResourcesView): string {
  if (spawn === null) return '-';
  if (spawn.kind === 'prefork') return 'forked from a zygote';
  return spawn.reason === '' ? 'executed' : `executed, not forked: ${spawn.reason}`;
}

/** Whether it shares its container, and why not. */
export function modeText({ legacy }: Pick<BotView, 'legacy'>): string {
  if (legacy === null) return 'pooled';
  const why = legacy.cause === 'asked' ? legacy.why : `the pool could not take it: ${legacy.why}`;
  return `legacy, in a container of its own since ${legacy.since}: ${why}`;
}

/** What is worth a word though it runs; empty when all is as it should be. */
export function concern({ spawn, warning, legacy }: ResourcesView & Partial<Pick<BotView, 'legacy'>>): string {
  return (
    warning ||
    fallbackText(legacy ?? null) ||
    (spawn?.kind === 'exec' && spawn.reason !== '' ? `not forked: ${spawn.reason}` : '')
  );
}

/** Empty unless the pool could not take the bot. */
export function fallbackText(legacy: BotView['legacy']): string {
  return legacy?.cause === 'fallback' ? `alone, because the pool could not take it: ${legacy.why}` : '';
}

export function memoryText(memory: MemoryView | null): string {
  if (memory === null) return '-';
  const swap = memory.swapBytes === 0 ? '' : `, swapped ${mebibytes(memory.swapBytes)}`;
  return `${mebibytes(memory.pssBytes)}, of it private ${mebibytes(memory.privateBytes)}${swap}`;
}

/** What everything takes, and would take one bot per container where a sample of that was taken. */
export function totalText({ memory, onePerContainer }: Pick<PoolStatus, 'memory' | 'onePerContainer'>): string {
  const total = mebibytes(memory?.pssBytes ?? null);
  return onePerContainer === null
    ? total
    : `${total} (${mebibytes(onePerContainer.pssBytes)} if each bot had a container)`;
}
