import { describe, expect, it } from 'vitest';
import { credentialOf, isSameOrigin, withoutCredentials } from '../../lib/router/credentials.ts';

describe('credentials for the proxy', () => {
  it.each([
    [{ authorization: 'Bearer bh_a' }, { token: 'bh_a', from: 'bearer' }],
    [
      { 'x-bunkhouse-token': 'bh_b', authorization: 'Bearer bh_a' },
      { token: 'bh_b', from: 'header' },
    ],
    [{ cookie: 'x=1; bunkhouse_token=bh_c; y=2' }, { token: 'bh_c', from: 'cookie' }],
    [
      { authorization: 'Bearer ey.jwt', cookie: 'bunkhouse_token=bh_c' },
      { token: 'bh_c', from: 'cookie' },
    ],
    [{ authorization: 'Bearer ey.jwt' }, null],
    [{ authorization: 'Basic YTpi' }, null],
    [{ cookie: 'xbunkhouse_token=bh_c' }, null],
    [{}, null],
  ])('finds in %j %j', (headers, credential) => {
    expect(credentialOf(headers)).toEqual(credential);
  });

  it('hides ours from the bot and leaves its own', () => {
    const headers = {
      'x-bunkhouse-token': 'bh_b',
      authorization: 'Basic YTpi',
      cookie: 'session=1; bunkhouse_token=bh_c; theme=dark',
      accept: '*/*',
    };
    expect(withoutCredentials(headers)).toEqual({
      authorization: 'Basic YTpi',
      cookie: 'session=1; theme=dark',
      accept: '*/*',
    });
    expect(withoutCredentials({ authorization: 'bearer bh_a', cookie: 'bunkhouse_token=bh_c' })).toEqual({});
  });

  it.each([
    [{ 'sec-fetch-site': 'same-origin' }, true],
    [{ 'sec-fetch-site': 'same-origin', origin: 'http://a:4000', host: 'a:4000' }, true],
    [{ 'sec-fetch-site': 'same-site', origin: 'http://a:4000', host: 'a:4000' }, false],
    [{ 'sec-fetch-site': 'cross-site' }, false],
    [{ 'sec-fetch-site': 'none' }, false],
    [{ origin: 'http://a:4000', host: 'a:4000' }, true],
    [{ origin: 'http://evil', host: 'a:4000' }, false],
    [{ origin: 'null', host: 'a:4000' }, false],
    [{ host: 'a:4000' }, false],
  ])('judges %j as of the same origin: %s', (headers, same) => {
    expect(isSameOrigin(headers)).toBe(same);
  });
});
