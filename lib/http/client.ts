import type { IncomingMessage } from 'node:http';
import { isIP, isIPv6 } from 'node:net';
import { isLoopback } from '../util/forwarded.ts';

/** Whether what a front at this address says of its callers is believed. */
export type Trusts = (address: string | undefined) => boolean;

type Request = Pick<IncomingMessage, 'headers' | 'socket'>;

/**
 * Where a request came from: beyond trusted fronts, as far as they can be asked. A front that was called from its own machine
 * may have been called by a bot, so what it was told is not believed.
 */
export function clientAddress({ headers, socket }: Request, trusts: Trusts): string {
  const hops = String(headers['x-forwarded-for'] ?? '')
    .split(',')
    .map((hop) => plain(hop.trim()));
  let client = plain(socket.remoteAddress ?? '');
  while (trusts(client)) {
    const before = hops.pop();
    if (before === undefined || isIP(before) === 0) break;
    client = before;
    if (isLoopback(client)) break;
  }
  return client;
}

/** Scheme and host a caller asked for; null when it said no host that can be one. */
export function originOf({ headers, socket }: Request, trusts: Trusts): string | null {
  const believed = trusts(plain(socket.remoteAddress ?? ''));
  const told = (name: string): string | undefined =>
    believed
      ? String(headers[name] ?? '')
          .split(',')[0]
          ?.trim() || undefined
      : undefined;
  const scheme = told('x-forwarded-proto') ?? ('encrypted' in socket ? 'https' : 'http');
  const origin = `${scheme}://${told('x-forwarded-host') ?? headers.host ?? ''}`;
  return /^https?:\/\/[^/?#@\\\s]+$/.test(origin) && URL.canParse(origin) ? origin : null;
}

/** What one caller is counted by: an address of IPv4, the network of 64 bits that one of IPv6 belongs to. */
export function callerKey(address: string): string {
  return isIPv6(address) ? network64(address) : address;
}

// Private

/** Without the zone of a link-local address, and IPv4 as such. */
const plain = (address: string): string => address.replace(/%.*$/, '').replace(/^::ffff:(?=\d+\.)/i, '');

function network64(address: string): string {
  const [left = '', right] = address.toLowerCase().split('::');
  const groups = (text: string | undefined): string[] => (text ? text.split(':') : []);
  const [head, tail] = [groups(left), groups(right)];
  const zeros = right === undefined ? [] : Array.from({ length: 8 - head.length - tail.length }, () => '0');
  return [...head, ...zeros, ...tail]
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':');
}
