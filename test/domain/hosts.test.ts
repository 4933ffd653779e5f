import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { botOfHost, botUrl, hostOf } from '../../lib/domain/hosts.ts';
import { INSTANCE_ID } from '../../lib/domain/ids.ts';

const BASE = 'bots.example.org';

describe('host names of bots', () => {
  it.each(['a', 'shop-1', '0', 'warm-echo-0123456789abcdef', 'a'.repeat(63)])('gives %s its own id as name', (id) => {
    expect(hostOf(id, BASE)).toBe(`${id}.${BASE}`);
  });

  it.each(['Shop', 'a.b', 'a_b', 'a-', 'xn--bcher-kva', 'ab--c'])('gives %s none', (id) => {
    expect(hostOf(id, BASE)).toBeNull();
    expect(botUrl(id, { baseDomain: BASE, scheme: 'https', port: 443 })).toBe(`/bots/${id}/`);
  });

  it('gives nobody one without a base domain', () => {
    expect(hostOf('a', null)).toBeNull();
  });

  it.each([
    ['shop.bots.example.org', 'shop'],
    ['SHOP.Bots.Example.ORG', 'shop'],
    ['shop.bots.example.org:8443', 'shop'],
    ['shop.bots.example.org.', 'shop'],
    ['shop.bots.example.org.:80', 'shop'],
  ])('reads %s as %s', (host, bot) => {
    expect(botOfHost(host, BASE)).toEqual({ bot });
  });

  it.each([
    'a.b.bots.example.org',
    '.bots.example.org',
    '-a.bots.example.org',
    'a_b.bots.example.org',
    '*.bots.example.org',
  ])('reads %s as a name of bots that no bot has', (host) => {
    expect(botOfHost(host, BASE)).toEqual({ bot: null });
  });

  it.each(['bots.example.org', 'example.org', 'shopbots.example.org', 'localhost:4000', '', '127.0.0.1', '[::1]:80'])(
    'leaves %j to the API',
    (host) => {
      expect(botOfHost(host, BASE)).toBeNull();
    },
  );

  it('never lets a name reach another bot than the one that has it', () => {
    const id = fc.stringMatching(INSTANCE_ID);
    fc.assert(
      fc.property(id, id, (one, other) => {
        const host = hostOf(one, BASE);
        if (host === null) return;
        expect(botOfHost(host, BASE)).toEqual({ bot: one });
        expect(hostOf(other, BASE) === host).toBe(one === other);
      }),
    );
  });

  it.each([
    ['https', 443, 'https://a.bots.example.org/'],
    ['https', 8443, 'https://a.bots.example.org:8443/'],
    ['http', 80, 'http://a.bots.example.org/'],
    ['http', 4000, 'http://a.bots.example.org:4000/'],
  ] as const)('writes addresses with %s at port %i as %s', (scheme, port, url) => {
    expect(botUrl('a', { baseDomain: BASE, scheme, port })).toBe(url);
  });
});
