import { connect, createServer, type Socket } from 'node:net';

/** A way to a Unix socket that can be cut, as by a restart of what listens there. */
export interface CuttableSocket {
  /** Breaks off all connections; new ones are let through. */
  cut(): void;
  close(): Promise<void>;
}

/** Listens at `path` and passes on to the socket at `target`. */
export async function cuttableSocket(path: string, target: string): Promise<CuttableSocket> {
  const open = new Set<Socket>();
  const server = createServer((incoming) => {
    const outgoing = connect(target);
    for (const [socket, other] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      open.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => {
        open.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const cut = (): void => {
    for (const socket of open) socket.destroy();
  };
  return {
    cut,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        cut();
      }),
  };
}
