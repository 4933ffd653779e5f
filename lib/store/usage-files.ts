import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { dayOf, endOf, isDay, type Period, Tally } from '../domain/usage.ts';
import { type JsonFileOptions, orUnavailable, readJson, writeJson } from './json-file.ts';
import {
  type AloneFile,
  aloneFile,
  decodeOpen,
  decodeUsage,
  encodeOpen,
  encodeUsage,
  type OpenFile,
  openFile,
  type PeriodFile,
  periodFile,
} from './usage-schema.ts';
import type { AloneStore, UsageStore } from './usage-store.ts';

export interface UsageFilesOptions extends JsonFileOptions {
  readonly folder: string;
}

const PERIOD_FILE = /^(\d{4}-\d\d-\d\d(?:T\d\d)?)\.json$/;
const LEFT_BY_A_KILLED_WRITER = /\.tmp-[0-9a-f]{12}$/;

/**
 * Usage as files of one folder: `open.json`, one for each hour that is over (`2026-05-01T10.json`), one for each day that
 * took in its hours (`2026-05-01.json`). Where `open.json` has an hour too, its part is the newer one.
 */
export function createUsageFiles(options: UsageFilesOptions): UsageStore & AloneStore {
  const { folder } = options;
  const open = join(folder, 'open.json');
  const alone = join(folder, 'alone.json');
  const pathOf = (period: Period): string => join(folder, `${period}.json`);

  const readPeriod = async (period: Period): Promise<PeriodFile> =>
    (await readJson(pathOf(period), periodFile, options)) ?? { schema: 1, usage: {} };

  const names = async (): Promise<Period[]> => {
    const files = await orUnavailable(`${folder} cannot be read`, readdir(folder));
    return files.flatMap((file) => PERIOD_FILE.exec(file)?.[1] ?? []).sort();
  };

  const prepare = async (): Promise<void> => {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const left = (await readdir(folder)).filter((name) => LEFT_BY_A_KILLED_WRITER.test(name));
    await Promise.all(left.map((name) => rm(join(folder, name), { force: true })));
  };

  const save = async (path: string, content: OpenFile | PeriodFile | AloneFile): Promise<void> => {
    // Also when somebody removed it.
    await orUnavailable(`${folder} cannot be made`, mkdir(folder, { recursive: true, mode: 0o700 }));
    await writeJson(path, content);
  };

  /** The day is written before its hours are removed: until then those it names do not count. */
  const rollUpDay = async (day: Period, hours: readonly Period[]): Promise<void> => {
    const known = await readPeriod(day);
    const taken = new Set(known.hours ?? []);
    const sum = new Tally(decodeUsage(known.usage));
    for (const hour of hours.filter((name) => !taken.has(name))) {
      for (const entry of decodeUsage((await readPeriod(hour)).usage)) sum.add(entry);
      taken.add(hour);
    }
    await save(pathOf(day), { schema: 1, hours: [...taken].sort(), usage: encodeUsage(sum.entries) });
    await orUnavailable(
      `${folder} cannot be written`,
      Promise.all(hours.map((hour) => rm(pathOf(hour), { force: true }))),
    );
  };

  return {
    async loadOpen() {
      await orUnavailable(`${folder} cannot be made`, prepare());
      const stored = await readJson(open, openFile, options);
      return stored === null ? null : decodeOpen(stored);
    },
    saveOpen: (ledger) => save(open, encodeOpen(ledger)),
    load: async (period) => decodeUsage((await readPeriod(period)).usage),
    save: (period, entries) => save(pathOf(period), { schema: 1, usage: encodeUsage(entries) }),
    async periods() {
      const all = await names();
      const taken = new Set<Period>();
      for (const day of all.filter(
        (name) => isDay(name) && all.some((other) => !isDay(other) && dayOf(other) === name),
      ))
        for (const hour of (await readPeriod(day)).hours ?? []) taken.add(hour);
      return all.filter((name) => !taken.has(name));
    },
    loadAlone: async () => (await readJson(alone, aloneFile, options))?.samples ?? [],
    saveAlone: (samples) => save(alone, { schema: 1, samples: [...samples] }),
    async rollUp(before) {
      const hours = (await names()).filter((name) => !isDay(name) && endOf(dayOf(name)) <= before);
      for (const [day, some] of Map.groupBy(hours, dayOf)) await rollUpDay(day, some);
    },
  };
}
