import { BunkhouseError } from '../../domain/errors.ts';
import type { Clock } from '../../util/clock.ts';
import { isSupervisordOf, type Marks, membersAmong } from './members.ts';
import { readProcesses } from './procfs.ts';

const LOOK_EVERY_MS = 20;
/** SIGKILL takes effect at once, but for a process the kernel holds (a dead disk, a debugger). */
const KILL_MS = 10_000;

/** Asks supervisord to stop its bots and end; gives it the grace and then goes on anyway. */
export async function endGracefully(marks: Marks, supervisord: number, graceMs: number, clock: Clock): Promise<void> {
  const deadline = clock.monotonic() + graceMs;
  signal(supervisord, 'SIGTERM');
  while (clock.monotonic() < deadline && (await isSupervisordOf(marks.layout, supervisord))) {
    await clock.sleep(LOOK_EVERY_MS);
  }
}

/** Kills what lives of a container; resolves when a look at all processes finds nothing. Throws DEADLINE when some would not die. */
export async function endAll(marks: Marks, clock: Clock): Promise<void> {
  const deadline = clock.monotonic() + KILL_MS;
  for (;;) {
    const { supervisord, others } = await membersAmong(await readProcesses(), marks);
    const alive = supervisord === null ? others : [supervisord, ...others];
    if (alive.length === 0) return;
    if (clock.monotonic() > deadline) {
      throw new BunkhouseError(
        'DEADLINE',
        `processes ${alive.join(', ')} of ${marks.labelled.name} do not die of SIGKILL`,
      );
    }
    for (const pid of alive) signal(pid, 'SIGKILL');
    await clock.sleep(LOOK_EVERY_MS);
  }
}

/** That a process is gone already is what was wanted; that we may not signal it shows in the next look. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {}
}
