import type { MigrationRecord } from '../domain/migration.ts';
import type { World } from '../planner/world.ts';
import type { Candidate } from './migration-api.ts';

/**
 * How long a bot would be away: as long as those that were brought over before; else as long as bots of its template were seen to take
 * from start to ready, which is most of it.
 */
export function estimateDown({
  template,
  records,
  world,
}: {
  readonly template: string;
  readonly records: readonly MigrationRecord[];
  readonly world: Pick<World, 'agents' | 'state'>;
}): Candidate['estimate'] {
  const earlier = records.filter((one) => one.template === template && one.phase !== 'failed').flatMap(secondsDown);
  if (earlier.length > 0)
    return {
      secondsDown: median(earlier),
      basis: `measured: ${earlier.length} of this template were brought over before`,
    };
  const starts = startSeconds(template, world);
  if (starts.length > 0) {
    const basis = `measured: the start of ${starts.length} bots of this template; stopping and copying come on top`;
    return { secondsDown: median(starts), basis };
  }
  return { secondsDown: null, basis: 'nothing was measured yet: no bot of this template has been started here' };
}

// Private

function secondsDown({ old, downSince, upSince, phase }: MigrationRecord): number[] {
  if (old?.ran !== true || downSince === null || upSince === null || phase === 'rolled-back') return [];
  return [(Date.parse(upSince) - Date.parse(downSince)) / 1000];
}

function startSeconds(template: string, { agents, state }: Pick<World, 'agents' | 'state'>): number[] {
  const bots = [...agents.values()].flatMap((agent) => (agent.kind === 'seen' ? agent.value.bots : []));
  return bots
    .filter(({ bot }) => state.bots.get(bot)?.template === template)
    .flatMap(({ startedAt, readyAt }) => (startedAt === null || readyAt === null ? [] : [readyAt - startedAt]));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return Math.round((sorted[Math.floor(sorted.length / 2)] ?? 0) * 10) / 10;
}
