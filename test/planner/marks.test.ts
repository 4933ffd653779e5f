import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BotSpec } from '../../lib/domain/agent.ts';
import { LEASE_FILE } from '../../lib/domain/lease.ts';
import { differenceOf, marksOf } from '../../lib/planner/marks.ts';
import { renderMarks } from '../../lib/planner/render.ts';
import { botSpec } from '../support/bot-spec.ts';
import { aBot, aContainer, aTemplate, inSlot } from './builders.ts';

const base = botSpec('a', { slot: 0, port: 9000 });
const file = (path: string, when: 'always' | 'absent', data = ''): BotSpec['files'][number] => ({
  path,
  mode: 0o600,
  when,
  data,
});

describe('marks of a spec', () => {
  it.each<[string, Partial<BotSpec>, readonly string[], readonly string[]]>([
    ['nothing', {}, [], []],
    ['a command', { command: ['other'] }, ['command'], []],
    ['a variable', { env: { A: '1' } }, ['env'], []],
    ['a file that is always written', { files: [file('a', 'always')] }, ['files'], []],
    ['a file that is there already', { files: [file('a', 'absent')] }, [], []],
    ['the lease', { files: [file(LEASE_FILE, 'always', 'eA==')] }, [], []],
    ['an rlimit', { limits: { ...base.limits, openFiles: 5 } }, ['rlimits'], []],
    ['a ceiling', { limits: { ...base.limits, pssBytes: 5 } }, [], ['ceilings']],
    ['how it is stopped', { stop: { signal: 'SIGINT', graceSeconds: 5 } }, [], ['stop']],
    ['its generation and slot', { generation: 9, slot: 3, run: false }, [], []],
  ])('differ by %s', (_, change, byRestart, atOnce) => {
    expect(differenceOf(marksOf(base), marksOf({ ...base, ...change }))).toEqual({ byRestart, atOnce });
  });

  it('differ for different texts, and are equal for equal ones', () => {
    const of = (text: string) => marksOf({ ...base, command: [text] }).command;
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        expect(of(a) === of(b)).toBe(a === b);
      }),
    );
  });

  it('are the same whatever the bot is wanted to do, for that is brought by a call', () => {
    const [box, template] = [aContainer('box'), aTemplate({ env: { STATE: '{{desired}}' } })];
    const marks = (desired: 'running' | 'paused') => {
      const bot = aBot('a', { desired, placement: inSlot(box, 0) });
      return renderMarks(bot, { container: 'box', slot: 0, port: 9000 }, template, {
        host: '',
        directory: '/',
        lease: null,
      });
    };
    expect(marks('paused')).toEqual(marks('running'));
  });
});
