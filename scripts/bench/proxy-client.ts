/** A process of its own that fetches as it is told on standard input, and tells on standard output how long that took. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface Fetches {
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Connections, kept from request to request; each has one request at a time. */
  readonly connections: number;
  /** Requests of all connections together. */
  readonly count: number;
}

export interface Fetched {
  readonly tookMs: number;
  /** Of all bodies. */
  readonly bytes: number;
  /** Of each request, from its first byte to the last of the answer. */
  readonly times: readonly number[];
}

/** Sends one request after the other. As little work as can be, so that what is measured is not the measuring. */
class Line {
  readonly #socket: Socket;
  readonly #request: Buffer;
  readonly #take: () => boolean;
  readonly #done: (ms: number, bytes: number) => void;
  #at = 0;
  #head: Buffer = Buffer.alloc(0);
  #length = 0;
  /** Of the body; null: the head is not through yet. */
  #left: number | null = null;

  /** `take`: whether there is another request to send. */
  constructor(socket: Socket, request: Buffer, take: () => boolean, done: (ms: number, bytes: number) => void) {
    this.#socket = socket;
    this.#request = request;
    this.#take = take;
    this.#done = done;
    socket.once('connect', () => this.#next());
    socket.on('data', (data) => this.#receive(data));
  }

  #next(): void {
    if (!this.#take()) {
      this.#socket.end();
      return;
    }
    this.#left = null;
    this.#at = performance.now();
    this.#socket.write(this.#request);
  }

  #receive(data: Buffer): void {
    const body = this.#left === null ? this.#begin(data) : data.length;
    if (this.#left === null) return;
    this.#left -= body;
    if (this.#left > 0) return;
    this.#done(performance.now() - this.#at, this.#length);
    this.#next();
  }

  /** How much of the body came with the head. */
  #begin(data: Buffer): number {
    this.#head = this.#head.length === 0 ? data : Buffer.concat([this.#head, data]);
    const end = this.#head.indexOf('\r\n\r\n');
    if (end < 0) return 0;
    const text = this.#head.toString('latin1', 0, end);
    const length = /\r\ncontent-length: (\d+)/i.exec(text)?.[1];
    if (!text.startsWith('HTTP/1.1 200 ') || length === undefined) this.#socket.destroy(new Error(text));
    this.#length = this.#left = Number(length);
    const body = this.#head.length - end - 4;
    this.#head = Buffer.alloc(0);
    return body;
  }
}

async function fetchAll({ port, path, headers, connections, count }: Fetches): Promise<Fetched> {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const request = Buffer.from(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
  const times: number[] = [];
  let begun = 0;
  let bytes = 0;
  const start = performance.now();
  const sockets = Array.from({ length: connections }, () => connect({ port, host: '127.0.0.1', noDelay: true }));
  for (const socket of sockets) {
    const take = (): boolean => begun++ < count;
    const done = (ms: number, length: number): void => {
      times.push(ms);
      bytes += length;
    };
    new Line(socket, request, take, done);
  }
  await Promise.all(sockets.map((socket) => once(socket, 'close')));
  if (times.length < count) throw new Error(`the connections were closed after ${times.length} answers`);
  return { tookMs: performance.now() - start, bytes, times };
}

if (import.meta.main) {
  let text = '';
  for await (const chunk of process.stdin) text += chunk;
  const fetched = await fetchAll(JSON.parse(text) as Fetches);
  process.stdout.write(JSON.stringify(fetched), () => process.exit(0));
}
