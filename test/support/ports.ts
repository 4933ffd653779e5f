import { createServer } from 'node:net';
import { boundPorts } from '../../lib/drivers/ports.ts';

/** First of `count` free ports in a row, from `from` on; a random place, so that two runs rarely meet. */
export async function freePorts(from: number, to: number, count: number): Promise<number> {
  const places = Math.floor((to - from + 1) / count);
  const first = Math.floor(Math.random() * places);
  for (let tried = 0; tried < places; tried++) {
    const base = from + ((first + tried) % places) * count;
    if ((await boundPorts(base, count)).length === 0) return base;
  }
  throw new Error(`no ${count} free ports in a row between ${from} and ${to}`);
}

/** Holds a port, as a stranger would. Returns the release. */
export function occupyPort(port: number, host = '127.0.0.1'): Promise<() => Promise<void>> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, host, () => resolve(() => new Promise((done) => server.close(() => done()))));
  });
}
