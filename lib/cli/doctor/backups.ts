import type { BackupOverview } from '../../services/backup-api.ts';
import { backupSummary } from '../backup-summary.ts';
import { count } from '../text.ts';
import { type Finding, ok, warn } from './finding.ts';

const NAME = 'backups';

/** How it stands with the backups of a running supervisor's bots. Pure. */
export function backupFindings(overview: BackupOverview): Finding[] {
  const { bots, place, trouble } = overview;
  if (bots.length === 0) return [];
  if (trouble !== '') return [warn(NAME, `${place}: ${trouble}`, 'See BACKUP_URL; it is tried again by itself.')];
  const failing = bots.filter(({ failure }) => failure !== null);
  if (failing.length > 0) {
    const [first] = failing;
    const found = `${count(failing.length, 'bot')} whose last backup failed, ${first?.instanceId}: ${first?.failure?.why}`;
    return [warn(NAME, found, 'bunkhouse backups status has all of them; bunkhouse backups run tries again now.')];
  }
  if (bots.every(({ schedule }) => schedule === null)) {
    const next = 'Set BACKUP_SCHEDULE, for example to "15 3 * * *".';
    return [warn(NAME, `${backupSummary(overview)}; none are made by themselves`, next)];
  }
  return [ok(NAME, `${backupSummary(overview)}, in ${place}`)];
}
