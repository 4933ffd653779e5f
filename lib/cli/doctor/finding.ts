import type { Machine } from './machine.ts';

export type Level = 'ok' | 'warn' | 'fail';

/** What a check found: a fact, and for `warn` and `fail` a sentence what to do. */
export interface Finding {
  readonly name: string;
  readonly level: Level;
  readonly found: string;
  readonly next: string;
}

export type Check = (machine: Machine) => Finding | null | Promise<Finding | null>;

export const ok = (name: string, found: string): Finding => ({ name, level: 'ok', found, next: '' });
export const warn = (name: string, found: string, next: string): Finding => ({ name, level: 'warn', found, next });
export const fail = (name: string, found: string, next: string): Finding => ({ name, level: 'fail', found, next });
