/** A fleet harassed at random: `npm run soak -- --help`. Exits with 1 when something was lost. */
import { runInterruptibly } from './lib/interruptible.ts';
import { HELP, readSoak } from './soak/arguments.ts';
import { runSoak, type SoakReport } from './soak/run.ts';

const command = readSoak(process.argv.slice(2), () => Math.floor(Math.random() * 2 ** 32));
if (command.kind === 'help') {
  console.error(command.problem === null ? HELP : `${command.problem}\n\n${HELP}`);
  process.exit(command.problem === null ? 0 : 2);
}

const { options, json } = command;
await runInterruptibly(async (signal) => {
  const report = await runSoak({ ...options, progress: (line) => console.error(line), signal });
  console.log(json ? JSON.stringify({ ...options, ...report }, null, 2) : textOf(report));
  return report.problems.length === 0 ? 0 : 1;
});

function textOf({ deeds, reforked, start, end, supervisordMiB, problems }: SoakReport): string {
  const flat = (snapshot: object, prefix = ''): [string, number][] =>
    Object.entries(snapshot).flatMap(([name, value]) =>
      typeof value === 'number' ? [[prefix + name, value]] : flat(value ?? {}, `${prefix}${name} `),
    );
  const ends = new Map(flat(end));
  const figures = flat(start).map(([name, value]) => `${name.padEnd(24)} ${show(value)} ${show(ends.get(name))}`);
  const verdict = problems.length === 0 ? ['nothing was lost'] : problems.map((problem) => `LOST: ${problem}`);
  const did = Object.entries(deeds).map(([kind, count]) => `${kind} ${count}`);
  return [
    `done: ${did.join(', ')}; ${reforked} bots forked anew at the end`,
    `${''.padEnd(24)} ${'start'.padStart(10)} ${'end'.padStart(10)}`,
    ...figures,
    `supervisord, MiB after each minute: ${supervisordMiB.join(' ')}`,
    ...verdict,
  ].join('\n');
}

function show(value: number | undefined): string {
  if (value === undefined) return '-'.padStart(10);
  return (Number.isInteger(value) ? String(value) : value.toFixed(1)).padStart(10);
}
