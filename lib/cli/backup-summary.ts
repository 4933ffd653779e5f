import type { BackupOverview } from '../services/backup-api.ts';
import { duration } from './text.ts';

/** `of 3 of 4 bots, the oldest 2h 5m ago, 1 failing`. */
export function backupSummary({ bots, trouble }: BackupOverview): string {
  if (trouble !== '') return `not known: ${trouble}`;
  const ages = bots.flatMap(({ last }) => (last === null ? [] : [last.ageSeconds]));
  const failing = bots.filter(({ failure }) => failure !== null).length;
  const oldest = ages.length === 0 ? '' : `, the oldest ${duration(Math.max(...ages))} ago`;
  return `of ${ages.length} of ${bots.length} bots${oldest}${failing === 0 ? '' : `, ${failing} failing`}`;
}
