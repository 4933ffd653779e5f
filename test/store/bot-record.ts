import type { BotRecord } from '../../lib/domain/bot.ts';
import type { ContainerRecord } from '../../lib/domain/container.ts';

/** A bot with something in every field. */
export function botRecord(instanceId: string): BotRecord {
  return {
    instanceId,
    template: 'freqtrade',
    owner: 'alice@example.org',
    group: 'default',
    location: 'local',
    desired: 'running',
    deleting: false,
    archive: null,
    restore: null,
    move: null,
    legacy: null,
    files: { 'config.json': 'eyJleGNoYW5nZSI6IHt9fQ==' },
    env: { TZ: 'UTC' },
    args: ['--strategy', 'SampleStrategy'],
    limits: { memoryBytes: 536870912, nice: 5 },
    secrets: { password: 'c2VjcmV0' },
    placement: { container: 'bunkhouse-freqtrade-1', slot: 3, port: 9003 },
    generation: 7,
    restartGeneration: 2,
    desiredGeneration: 2,
    controlledGeneration: 0,
    reserve: null,
    createdAt: '2026-01-01T00:00:00.000Z',
  };
}

export function containerRecord(name: string): ContainerRecord {
  return {
    name,
    pool: 'freqtrade/default/local',
    capacity: 20,
    basePort: 9000,
    generation: 6,
    image: null,
    removing: false,
    soleBot: null,
    emptying: null,
    entered: true,
    createdAt: '2026-01-01T00:00:00.000Z',
  };
}
