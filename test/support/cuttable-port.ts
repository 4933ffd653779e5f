import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A way to a port that can be cut and held up, as a network can. */
export interface CuttablePort {
  readonly port: number;
  /** From now on what is sent arrives, and no answer comes back. */
  swallowAnswers(): void;
  /** From now on nothing arrives, and no connection breaks. */
  hold(): void;
  /** Breaks off all connections; new ones are let through again. */
  cut(): void;
  close(): Promise<void>;
}

type Mode = 'open' | 'swallow' | 'hold';

export async function cuttablePort(target: number): Promise<CuttablePort> {
  const open = new Set<Socket>();
  let mode: Mode = 'open';
  const server = createServer((incoming) => {
    const outgoing = connect(target, '127.0.0.1');
    join(incoming, outgoing, () => mode !== 'hold');
    join(outgoing, incoming, () => mode === 'open');
  });

  function join(from: Socket, to: Socket, passes: () => boolean): void {
    open.add(from);
    from.on('data', (data) => {
      if (passes() && !to.destroyed) to.write(data);
    });
    from.on('error', () => {});
    from.once('close', () => {
      open.delete(from);
      to.destroy();
    });
  }

  const cut = (): void => {
    mode = 'open';
    for (const socket of open) socket.destroy();
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    swallowAnswers() {
      mode = 'swallow';
    },
    hold() {
      mode = 'hold';
    },
    cut,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        cut();
      }),
  };
}
