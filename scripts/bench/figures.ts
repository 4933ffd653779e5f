import { readFileSync } from 'node:fs';
import type { Row } from './bench.ts';

/** Throws when there are no values. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new Error('there is nothing to take the median of');
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** Resident memory of a process, MiB. */
export function processRssMiB(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) / 1024;
}

export const MIB = 2 ** 20;
export const GIB = 2 ** 30;

/** Half of them, and all but one in a hundred, took no longer. */
export function percentiles(name: string, times: readonly number[], note: string): Row[] {
  return [
    { name: `${name}, p50`, value: percentile(times, 0.5), unit: 'ms', note },
    { name: `${name}, p99`, value: percentile(times, 0.99), unit: 'ms', note },
  ];
}

/** What that share of them did not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] as number;
}
