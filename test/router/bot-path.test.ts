import { describe, expect, it } from 'vitest';
import { hasCode } from '../../lib/domain/errors.ts';
import { splitBotPath } from '../../lib/router/bot-path.ts';

describe('bot path', () => {
  it.each([
    ['/bots/a/', 'a', '/'],
    ['/bots/a.b_c-D/api/v1/ping?x=1&y=%2F', 'a.b_c-D', '/api/v1/ping?x=1&y=%2F'],
    ['/bots/a//double', 'a', '//double'],
    ['/bots/a/%E2%82%AC/%2e/x', 'a', '/%E2%82%AC/%2e/x'],
    ['/bots/a/..b/c..', 'a', '/..b/c..'],
    ['/bots/a/x?next=../../y', 'a', '/x?next=../../y'],
  ])('splits %s and leaves the rest as it came', (url, bot, rest) => {
    expect(splitBotPath(url)).toMatchObject({ bot, rest, prefix: `/bots/${bot}` });
  });

  it('has no rest without a slash after the id', () => {
    expect(splitBotPath('/bots/a?x=1')).toMatchObject({ bot: 'a', rest: null, query: '?x=1' });
  });

  it.each(['/', '/api/bots/a', '/bots', '/bots/', '/botsa/x', 'http://other/bots/a/'])('leaves %s to others', (url) => {
    expect(splitBotPath(url)).toBeNull();
  });

  it.each([
    '/bots/a/../b',
    '/bots/a/x/..',
    '/bots/a/%2e%2e/b',
    '/bots/a/.%2E/b',
    '/bots/a/%2e%2e%2fb',
    '/bots/a/..%5cb',
    '/bots/a/..\\b',
    '/bots/../api/bots',
    '/bots/%2e%2e/x',
    '/bots/a%2Fb/x',
    '/bots/.hidden/x',
    '/bots/-a/x',
    '/bots/a%00/x',
    '/bots/a/%zz',
    `/bots/${'a'.repeat(64)}/x`,
  ])('refuses %s', (url) => {
    expect(() => splitBotPath(url)).toThrow(expect.toSatisfy((error) => hasCode(error, 'INVALID')));
  });
});
