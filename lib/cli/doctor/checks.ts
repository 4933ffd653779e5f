import { checkCgroups } from './cgroups.ts';
import type { Check, Finding, Level } from './finding.ts';
import { checkFront } from './front.ts';
import * as host from './host.ts';
import type { Machine } from './machine.ts';
import * as programs from './programs.ts';
import { checkState } from './state.ts';

const CHECKS: readonly Check[] = [
  programs.checkNode,
  programs.checkPython,
  programs.checkSupervisord,
  programs.checkFreqtrade,
  programs.checkWordPress,
  programs.checkDocker,
  checkState,
  checkFront,
  host.checkDataDir,
  host.checkDisk,
  host.checkMemory,
  host.checkApiPort,
  host.checkBotPorts,
  host.checkIsolation,
  host.checkLimits,
  checkCgroups,
  host.checkSamePages,
  host.checkClock,
];

/** What all checks that matter for this machine's settings found, in order. */
export async function runChecks(machine: Machine): Promise<Finding[]> {
  const findings: Finding[] = [];
  // One after the other: two of them bind ports.
  for (const check of CHECKS) {
    const finding = await check(machine);
    if (finding !== null) findings.push(finding);
  }
  return findings;
}

export function worst(findings: readonly Finding[]): Level {
  const order: readonly Level[] = ['fail', 'warn', 'ok'];
  return order.find((level) => findings.some((finding) => finding.level === level)) ?? 'ok';
}
