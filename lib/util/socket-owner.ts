import { readFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { endianness } from 'node:os';

/** A connection as this end sees it. */
export interface Connection {
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

const TABLES = ['/proc/net/tcp', '/proc/net/tcp6'];

/** Says whose the other ends of connections within this machine are: the kernel knows, and nobody else can say so. */
export class SocketOwners {
  readonly #read: () => Promise<string>;
  #running: Promise<unknown> = Promise.resolve();
  #next: Promise<string> | null = null;

  constructor(read: () => Promise<string> = readTables) {
    this.#read = read;
  }

  /** The uid that holds the other end. Null: nobody does any more, or it cannot be told. */
  async uidOf(connection: Connection): Promise<number | null> {
    const { localAddress = '', localPort = 0, remoteAddress = '', remotePort = 0 } = connection;
    const tables = await this.#tables().catch(() => '');
    // Whoever listens at an address of IPv6 is shown those of IPv4 in it; who called may have either kind of socket.
    const kinds = remoteAddress.startsWith('::ffff:') ? [asIs, unmapped] : [asIs];
    for (const kind of kinds) {
      const ends = ` ${end(kind(remoteAddress), remotePort)} ${end(kind(localAddress), localPort)} `;
      const at = tables.indexOf(ends);
      if (at !== -1) return uidIn(tables.slice(at + ends.length, tables.indexOf('\n', at)));
    }
    return null;
  }

  // Private

  /** Read after the call, so that what is connected now is in it. Calls that come while they are read share the next reading. */
  #tables(): Promise<string> {
    this.#next ??= this.#running.then(() => {
      this.#next = null;
      const reading = this.#read();
      this.#running = reading.catch(() => {});
      return reading;
    });
    return this.#next;
  }
}

// Private

async function readTables(): Promise<string> {
  const texts = await Promise.all(TABLES.map((path) => readFile(path, 'latin1').catch(() => '')));
  return texts.join('\n');
}

/** What follows the two ends in a line. Without an inode no process has the socket: its uid is then root's, which says nothing. */
function uidIn(rest: string): number | null {
  const [_state, _queues, _timer, _retransmits, uid, _timeout, inode] = rest.trim().split(/\s+/);
  return uid === undefined || inode === undefined || inode === '0' ? null : Number(uid);
}

const asIs = (address: string): string => address;
const unmapped = (address: string): string => address.replace(/^::ffff:/, '');

/** As the kernel writes it: words of 32 bits in the machine's order, then the port. */
function end(address: string, port: number): string {
  const bytes = isIPv6(address) ? bytesOf6(address) : address.split('.').map(Number);
  const words = Array.from({ length: bytes.length / 4 }, (_, n) => bytes.slice(4 * n, 4 * n + 4));
  const ordered = endianness() === 'LE' ? words.map((word) => word.toReversed()) : words;
  const hex = (value: number, width: number): string => value.toString(16).toUpperCase().padStart(width, '0');
  return `${ordered.flatMap((word) => word.map((byte) => hex(byte, 2))).join('')}:${hex(port, 4)}`;
}

function bytesOf6(address: string): number[] {
  // WHATWG's parser knows all ways to write one, and has one of its own.
  const host = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [left = '', right] = host.split('::');
  const groups = (text: string | undefined): number[] =>
    text ? text.split(':').map((part) => parseInt(part, 16)) : [];
  const [head, tail] = [groups(left), groups(right)];
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => 0);
  return [...head, ...zeros, ...tail].flatMap((group) => [group >> 8, group & 0xff]);
}
