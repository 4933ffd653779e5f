import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { endLeakedProcesses, testContainers } from './lib/leaks.ts';
import { elapsed } from './lib/steps.ts';
import { add, closingLine, NOTHING, type Tally, tallyOfOne, tallyOfUnittest, tallyOfVitest } from './lib/tally.ts';

/**
 * Runs parts of the tests one after the other, whatever becomes of those before, and ends with one line that sums them.
 * scripts/test installs what they need first: `node scripts/test.ts PART… [--left-out SENTENCE]…`.
 */

interface Part {
  readonly command: (report: string) => readonly string[];
  readonly tally: (exitCode: number, output: string, report: string | null) => Tally;
  /** Past it the part is ended and counts as failed. */
  readonly minutes: number;
}

const ROOT = resolve(import.meta.dirname, '..');
const NODE = process.execPath;
const PYTHON = join(process.env.BUNKHOUSE_TEST_VENV ?? '', 'bin/python');

const vitest = (project: string, minutes: number): Part => ({
  command: (report) => [
    NODE,
    join(ROOT, 'node_modules/vitest/vitest.mjs'),
    'run',
    `--project=${project}`,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
  ],
  tally: (exitCode, _, report) => tallyOfVitest(report, exitCode),
  minutes,
});

const PARTS: Readonly<Record<string, Part>> = {
  lint: { command: () => [NODE, join(ROOT, 'node_modules/.bin/biome'), 'check', '.'], tally: tallyOfOne, minutes: 2 },
  types: { command: () => [NODE, join(ROOT, 'node_modules/.bin/tsc'), '--noEmit'], tally: tallyOfOne, minutes: 5 },
  fast: vitest('fast', 20),
  plugin: {
    command: () => [PYTHON, '-m', 'unittest', 'discover', '-s', 'test/plugin'],
    tally: (exitCode, output) => tallyOfUnittest(output, exitCode),
    minutes: 25,
  },
  pythons: {
    command: () => [PYTHON, 'test/plugin/versions.py', process.env.BUNKHOUSE_TEST_PYTHONS ?? ''],
    tally: (exitCode, output) => tallyOfUnittest(output, exitCode),
    minutes: 15,
  },
  e2e: vitest('e2e', 35),
  docker: vitest('docker', 20),
};

interface Outcome {
  readonly name: string;
  readonly tally: Tally;
  readonly time: string;
  readonly notes: readonly string[];
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'left-out': { type: 'string', multiple: true, default: [] } },
});

/** All temporary files of a run are in here, which is how processes that outlive it are found. Short: sockets are in it. */
const folder = mkdtempSync(join(tmpdir(), 'bh'));
chmodSync(folder, 0o755);
let running: ReturnType<typeof spawn> | null = null;
let interrupted = false;

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    interrupted = true;
    endGroup(running, 'SIGTERM');
  });
}

const outcomes: Outcome[] = [];
for (const name of positionals) {
  const part = PARTS[name];
  if (part === undefined) throw new Error(`there is no part ${name}; there are ${Object.keys(PARTS).join(', ')}`);
  if (!interrupted) outcomes.push(await runPart(name, part));
}
rmSync(folder, { recursive: true, force: true });
summarise();

// Private

async function runPart(name: string, part: Part): Promise<Outcome> {
  console.log(`\n── ${name} ──`);
  const begin = performance.now();
  const report = join(folder, `${name}.json`);
  const before = await testContainers();
  const { exitCode, output, late } = await run(part.command(report), part.minutes);
  const containers = [...(await testContainers())].filter((container) => !before.has(container));
  const leaks = [...(await endLeakedProcesses(folder)), ...containers.map((container) => `container ${container}`)];
  const tally = part.tally(exitCode, output, textOf(report));
  const notes = [
    ...(late ? [`took longer than ${part.minutes} minutes and was ended`] : []),
    ...leaks.map((leak) => `left behind: ${leak}`),
  ];
  return {
    name,
    tally: leaks.length > 0 ? add(tally, { ...NOTHING, failed: 1 }) : tally,
    time: elapsed(begin),
    notes,
  };
}

interface Ran {
  readonly exitCode: number;
  readonly output: string;
  readonly late: boolean;
}

/** Runs a command in a process group of its own, shows what it says and keeps it. */
function run([file = '', ...args]: readonly string[], minutes: number): Promise<Ran> {
  return new Promise((done) => {
    let output = '';
    let late = false;
    const env = { ...process.env, TMPDIR: folder };
    const child = spawn(file, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    running = child;
    const deadline = setTimeout(() => {
      late = true;
      endGroup(child, 'SIGKILL');
    }, minutes * 60_000);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        process.stdout.write(text);
      });
    }
    child.once('error', (error) => {
      output += error.message;
      console.log(error.message);
    });
    // Not `close`: a process that was left behind would keep the pipes open.
    child.once('exit', (code) => finish(code ?? 1));
    child.once('error', () => finish(1));
    function finish(exitCode: number): void {
      clearTimeout(deadline);
      setTimeout(() => done({ exitCode: late ? 1 : exitCode, output, late }), 200);
    }
  });
}

function endGroup(child: ReturnType<typeof spawn> | null, signal: NodeJS.Signals): void {
  if (child?.pid === undefined || child.exitCode !== null) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group has ended.
  }
}

function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

function summarise(): void {
  const leftOut = values['left-out'];
  const total = outcomes.map(({ tally }) => tally).reduce(add, { ...NOTHING, skipped: leftOut.length });
  console.log('\n── summary ──');
  for (const { name, tally, time, notes } of outcomes) {
    console.log(`${tally.failed === 0 ? '✓' : '✗'} ${name.padEnd(7)}  ${closingLine(tally)} (${time})`);
    for (const note of notes) console.log(`  ${note}`);
  }
  for (const sentence of leftOut) console.log(`- ${sentence}`);
  if (interrupted) console.log('Interrupted: the rest did not run.');
  console.log(`\n${closingLine(total)}`);
  process.exitCode = total.failed > 0 || total.passed === 0 || interrupted ? 1 : 0;
}
