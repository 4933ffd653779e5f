import { Counter, Histogram, type Registry } from 'prom-client';
import type { BunkhouseEvent } from '../domain/events.ts';

const SECONDS = [0.5, 1, 2, 5, 10, 20, 60, 300];

/** Counts moves by how they end; returns what takes the events. */
export function moveMetrics(registry: Registry): (event: BunkhouseEvent) => void {
  const registers = [registry];
  const moves = new Counter({
    name: 'bunkhouse_moves_total',
    help: 'Moves of bots between containers, by outcome',
    labelNames: ['outcome'] as const,
    registers,
  });
  const away = new Histogram({
    name: 'bunkhouse_move_away_seconds',
    help: 'From the stop of a bot that moves until it is proven well in its new place',
    buckets: SECONDS,
    registers,
  });
  return (event) => {
    if (event.type === 'bot.moved') moves.inc({ outcome: 'moved' });
    if (event.type === 'bot.moved' && event.awaySeconds !== null) away.observe(event.awaySeconds);
    if (event.type === 'bot.move-failed') moves.inc({ outcome: 'undone' });
  };
}
