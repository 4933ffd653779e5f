import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Labelled } from '../labels.ts';
import type { Layout } from './layout.ts';
import { type ProcessFacts, readArguments } from './procfs.ts';

/** The living processes of one container. */
export interface Members {
  readonly supervisord: number | null;
  /** Bots and whatever they started. */
  readonly others: readonly number[];
}

/** How processes of a container are told from all others. */
export interface Marks {
  readonly layout: Layout;
  readonly labelled: Labelled;
  readonly uidBase: number | null;
}

/** Arguments that end the command line of our supervisord, and of nothing else: `supervisorctl -c` lacks the -n. */
export function supervisordArguments(layout: Layout): readonly string[] {
  return ['-n', '-c', layout.config];
}

/** The supervisord named by its pid file, when it is alive and really ours. Quick; null is no proof that there is none. */
export async function recordedSupervisord(layout: Layout): Promise<number | null> {
  const text = await readFile(layout.pidFile, 'utf8').catch(() => '');
  const pid = Number(text.trim());
  if (!Number.isSafeInteger(pid) || pid <= 1) return null;
  return (await isSupervisordOf(layout, pid)) ? pid : null;
}

/** Whether that process still is the container's supervisord: a pid may have been given to another. */
export async function isSupervisordOf(layout: Layout, pid: number): Promise<boolean> {
  return isSupervisord(layout, await readArguments(pid));
}

/** The container's processes among all of the machine: what is not found there does not live. */
export async function membersAmong(processes: readonly ProcessFacts[], marks: Marks): Promise<Members> {
  const fenced = await readFenced(marks.layout);
  const sessions = new Set(
    processes.filter((facts) => fenced.get(facts.pid) === facts.start).map((facts) => facts.session),
  );
  const supervisord = processes.find((facts) => isSupervisord(marks.layout, facts.argv))?.pid ?? null;
  const others = processes
    .filter((facts) => facts.pid !== supervisord && facts.pid !== process.pid && isMember(marks, sessions, facts))
    .map((facts) => facts.pid);
  return { supervisord, others };
}

function isSupervisord(layout: Layout, argv: readonly string[]): boolean {
  const tail = supervisordArguments(layout);
  return argv.length > tail.length && argv.slice(-tail.length).every((argument, index) => argument === tail[index]);
}

/** By the uid of a slot or a service, by the session of a main process, or by the notify socket in its environment. */
function isMember(marks: Marks, sessions: ReadonlySet<number>, facts: ProcessFacts): boolean {
  const socket = `NOTIFY_SOCKET=${marks.layout.directory}/`;
  return (
    hasOwnUid(marks, facts.uid) ||
    sessions.has(facts.session) ||
    facts.environment.some((entry) => entry.startsWith(socket))
  );
}

/** A service has the container's first uid, so many times 65,536 further on: the plugin's services.py. */
const SERVICE_UIDS = 65_536;
const MOST_SERVICES = 64;

function hasOwnUid({ uidBase, labelled }: Marks, uid: number): boolean {
  const offset = uidBase === null ? -1 : uid - uidBase - labelled.basePort;
  if (offset < 0) return false;
  return offset < labelled.capacity || (offset % SERVICE_UIDS === 0 && offset / SERVICE_UIDS <= MOST_SERVICES);
}

const lives = z.record(z.string(), z.object({ pid: z.number().nullable(), start: z.number().nullable() }));
const fencesFile = z.object({ bots: lives, services: lives.default({}) });

/** Start time by pid of the main processes of bots and services, from the plugin's notes; each leads a session. */
async function readFenced(layout: Layout): Promise<ReadonlyMap<number, number>> {
  const text = await readFile(layout.fences, 'utf8').catch(() => 'null');
  const parsed = fencesFile.safeParse(parseJson(text));
  const { bots, services } = parsed.success ? parsed.data : { bots: {}, services: {} };
  const all = [...Object.values(bots), ...Object.values(services)];
  return new Map(all.flatMap(({ pid, start }) => (pid === null || start === null ? [] : [[pid, start] as const])));
}

/** What is damaged names nobody; the other marks still find them. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
