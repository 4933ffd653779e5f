import { spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import {
  descendantsOf,
  type HostProcess,
  listProcesses,
  memoryOf,
  parseSmapsRollup,
  parseStat,
  pssOf,
  readProcess,
} from '../../scripts/lib/host-processes.ts';

const STAT = `42 (a) b (c) S 7 42 40 0 -1 4194560 100 0 0 0 250 50 999 999 20 0 1 0 123456 1 2 3`;
const ROLLUP = `55b4416cd000-7fffea43e000 ---p 00000000 00:00 0                          [rollup]
Rss:                1808 kB
Pss:                 298 kB
Pss_Dirty:           112 kB
Shared_Clean:       1648 kB
Shared_Dirty:          0 kB
Private_Clean:        48 kB
Private_Dirty:       112 kB
Swap:                  9 kB
SwapPss:               4 kB
`;

const process_ = (pid: number, parent: number): HostProcess => ({
  pid,
  parent,
  session: pid,
  state: 'S',
  cpuSeconds: 0,
  start: 0,
});

describe('processes of this host', () => {
  it('are read from their line, whatever their name holds', () => {
    expect(parseStat(42, STAT)).toEqual({
      pid: 42,
      parent: 7,
      session: 40,
      state: 'S',
      cpuSeconds: 3,
      start: 123_456,
    });
  });

  it('are found with all that descend from them, and nobody else', () => {
    const all = [process_(1, 0), process_(2, 1), process_(5, 4), process_(3, 2), process_(4, 1), process_(9, 8)];
    const pids = descendantsOf([2, 4], all).map(({ pid }) => pid);
    expect(pids.sort()).toEqual([2, 3, 4, 5]);
    expect(descendantsOf([77], all)).toEqual([]);
  });

  it('tell their memory in bytes', () => {
    const KIB = 1024;
    expect(parseSmapsRollup(ROLLUP)).toEqual({
      pssBytes: 298 * KIB,
      rssBytes: 1808 * KIB,
      privateBytes: 160 * KIB,
      sharedBytes: 1648 * KIB,
      swapBytes: 4 * KIB,
    });
    expect(() => parseSmapsRollup('Rss: 1 kB\n')).toThrow(/no Private_Clean/);
  });

  it('are really there', () => {
    const own = memoryOf(process.pid);
    expect(own?.pssBytes).toBeGreaterThan(1_000_000);
    expect(own?.privateBytes).toBeLessThanOrEqual(own?.rssBytes ?? 0);
    expect(listProcesses().find(({ pid }) => pid === process.pid)?.parent).toBe(process.ppid);
  });

  it('that have ended are gone', async () => {
    const child = spawn(process.execPath, ['-e', '']);
    const pid = child.pid as number;
    await new Promise((resolve) => child.once('close', resolve));
    expect([readProcess(pid), memoryOf(pid), pssOf([pid])]).toEqual([null, null, 0]);
  });
});
