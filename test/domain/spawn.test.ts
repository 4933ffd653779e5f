import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fallbackOf } from '../../lib/domain/spawn.ts';

const PLUGIN = resolve(import.meta.dirname, '../../docker/pool/bunkhouse_plugin');
const exec = (reason: string) => ({ kind: 'exec', reason }) as const;

/** Reasons as the plugin writes them, and the words by which they are told apart, as they stand in its source. */
const REASONS = [
  ['switched-off', 'switched off for this bot by BUNKHOUSE_PREFORK=off', 'switched off for this bot', 'recipe.py'],
  [
    'variable',
    'its variable PYTHONPATH works only at the start of Python',
    'works only at the start of Python',
    'recipe.py',
  ],
  [
    'python',
    '/a/freqtrade runs under /a/python3, the zygote would under /b/python3: put both into one venv',
    'the zygote would under',
    'recipe.py',
  ],
  ['python', 'freqtrade is not found in PATH (/usr/bin)', 'is not found in PATH', 'recipe.py'],
  ['zygote', 'the zygote is not there: killed by SIGKILL', 'the zygote is not there', 'zygotes.py'],
] as const;

describe('the kind of a reason why a bot was not forked', () => {
  it.each(REASONS)('is %s for “%s”', (kind, reason) => {
    expect(fallbackOf(exec(reason))).toBe(kind);
  });

  it.each(REASONS)('%s: the plugin still says so', (_kind, reason, words, file) => {
    expect(reason).toContain(words);
    expect(readFileSync(join(PLUGIN, file), 'utf8')).toContain(words);
  });

  it('is other for words nobody knows, and none where nothing is wrong', () => {
    expect(fallbackOf(exec('the moon is full'))).toBe('other');
    expect(fallbackOf(exec(''))).toBeNull();
    expect(fallbackOf({ kind: 'prefork', reason: '' })).toBeNull();
    expect(fallbackOf(null)).toBeNull();
  });
});
