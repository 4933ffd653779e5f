import { Option } from 'commander';
import { usageFailure } from './failure.ts';

export interface WaitOptions {
  /** `true`: given without a number. */
  readonly wait?: string | true;
}

const DEFAULT_SECONDS = 120;

export function waitOption(): Option {
  return new Option('--wait [seconds]', `wait until it is so; exit code 7 when it takes longer (${DEFAULT_SECONDS})`);
}

/** Null: do not wait. Throws CliFailure `usage`. */
export function waitSeconds({ wait }: WaitOptions): number | null {
  if (wait === undefined) return null;
  return wait === true ? DEFAULT_SECONDS : positive(wait, '--wait');
}

/** A number above 0. Throws CliFailure `usage`. */
export function positive(text: string, option: string): number {
  const number = Number(text);
  if (Number.isFinite(number) && number > 0) return number;
  throw usageFailure(`${option} takes a number of seconds, not ${JSON.stringify(text)}.`);
}

/** Collects a repeated option. */
export const collect = (value: string, before: readonly string[] = []): string[] => [...before, value];

/** `KEY=value` at its first `=`. Throws CliFailure `usage`. */
export function keyValue(text: string, option: string): readonly [string, string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw usageFailure(`${option} takes NAME=VALUE, not ${JSON.stringify(text)}.`);
}
