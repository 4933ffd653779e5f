import { describe, expect, it } from 'vitest';
import { callerKey, clientAddress, originOf } from '../../lib/http/client.ts';
import { createTrust } from '../../lib/router/trust.ts';

const trusts = createTrust(['127.0.0.0/8', '::1', '10.0.0.7']);
const request = (peer: string, headers: Record<string, string> = {}) =>
  ({ headers, socket: { remoteAddress: peer } }) as never;

describe('where a request came from', () => {
  it.each([
    { what: 'the peer', peer: '198.51.100.7', forwarded: undefined, client: '198.51.100.7' },
    { what: 'the peer, whatever it says', peer: '198.51.100.7', forwarded: '203.0.113.9', client: '198.51.100.7' },
    { what: 'what a front says', peer: '127.0.0.1', forwarded: '203.0.113.9', client: '203.0.113.9' },
    {
      what: 'not what was told to the front',
      peer: '127.0.0.1',
      forwarded: '1.2.3.4, 203.0.113.9',
      client: '203.0.113.9',
    },
    { what: 'beyond two fronts', peer: '::1', forwarded: '203.0.113.9, 10.0.0.7', client: '203.0.113.9' },
    {
      what: 'the machine of the front, whatever it was told',
      peer: '127.0.0.1',
      forwarded: '1.2.3.4, 127.0.0.1',
      client: '127.0.0.1',
    },
    { what: 'a front that says nothing', peer: '127.0.0.1', forwarded: undefined, client: '127.0.0.1' },
    { what: 'a front that says nonsense', peer: '127.0.0.1', forwarded: 'unknown', client: '127.0.0.1' },
    { what: 'only as far as it makes sense', peer: '127.0.0.1', forwarded: 'x, 10.0.0.7', client: '10.0.0.7' },
    { what: 'IPv4 in IPv6', peer: '::ffff:127.0.0.1', forwarded: '::ffff:203.0.113.9', client: '203.0.113.9' },
    { what: 'IPv6', peer: '127.0.0.1', forwarded: '2001:db8::7', client: '2001:db8::7' },
  ])('is $what', ({ peer, forwarded, client }) => {
    const headers: Record<string, string> = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
    expect(clientAddress(request(peer, headers), trusts)).toBe(client);
  });

  it.each([
    ['203.0.113.9', '203.0.113.9'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:DB8:1:2::', '2001:db8:1:2'],
    ['2001:db8::7', '2001:db8:0:0'],
    ['::1', '0:0:0:0'],
    ['2001:0db8:0001:0002:ffff::', '2001:db8:1:2'],
  ])('%s counts as %s', (address, key) => {
    expect(callerKey(address)).toBe(key);
  });

  it.each([
    { peer: '198.51.100.7', headers: { host: 'a.example:4000' }, origin: 'http://a.example:4000' },
    {
      peer: '198.51.100.7',
      headers: { host: 'a.example', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'evil.example' },
      origin: 'http://a.example',
    },
    {
      peer: '127.0.0.1',
      headers: { host: 'inside', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'a.example' },
      origin: 'https://a.example',
    },
    { peer: '127.0.0.1', headers: { host: 'a.example/../x' }, origin: null },
    { peer: '127.0.0.1', headers: { host: 'user@a.example' }, origin: null },
    { peer: '127.0.0.1', headers: { host: 'a', 'x-forwarded-proto': 'javascript' }, origin: null },
    { peer: '127.0.0.1', headers: {}, origin: null },
  ])('has the origin $origin', ({ peer, headers, origin }) => {
    expect(originOf(request(peer, headers as Record<string, string>), trusts)).toBe(origin);
  });
});
