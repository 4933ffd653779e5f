import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { SocketOwners } from '../../lib/util/socket-owner.ts';

/** Both ends of a connection within this machine: the caller's, and that of who was called. */
async function connection(listenAt: string, callAt: string): Promise<{ caller: Socket; called: Socket }> {
  const server = createServer();
  server.listen(0, listenAt);
  await once(server, 'listening');
  const caller = connect({ host: callAt, port: (server.address() as AddressInfo).port });
  const [called] = (await once(server, 'connection')) as [Socket];
  onTestFinished(() => {
    caller.destroy();
    called.destroy();
    server.close();
  });
  return { caller, called };
}

describe('the owner of a socket', () => {
  it.each([
    ['127.0.0.1', '127.0.0.1'],
    ['::1', '::1'],
    ['::', '127.0.0.1'],
    ['::', '::ffff:127.0.0.1'],
  ])('that listens at %s and was called at %s is found', async (listenAt, callAt) => {
    const { called } = await connection(listenAt, callAt);
    expect(await new SocketOwners().uidOf(called)).toBe(process.getuid?.());
  });

  it('is nobody once its process has ended it, however the kernel goes on with it', async () => {
    const { caller, called } = await connection('127.0.0.1', '127.0.0.1');
    called.on('error', () => {});
    const ends = { ...addressOf(called) };
    caller.destroy();
    await once(caller, 'close');
    expect(await new SocketOwners().uidOf(ends)).toBeNull();
  });

  it('is looked for after the question, once for all who ask meanwhile', async () => {
    const { called } = await connection('127.0.0.1', '127.0.0.1');
    const waiting: (() => void)[] = [];
    const owners = new SocketOwners(() => new Promise((resolve) => waiting.push(() => resolve(''))));
    const first = owners.uidOf(called);
    await Promise.resolve();
    const others = [owners.uidOf(called), owners.uidOf(called)];
    expect(waiting).toHaveLength(1);
    waiting[0]?.();
    await first;
    await Promise.resolve();
    expect(waiting).toHaveLength(2);
    waiting[1]?.();
    expect(await Promise.all(others)).toEqual([null, null]);
    expect(waiting).toHaveLength(2);
  });
});

const addressOf = ({ localAddress, localPort, remoteAddress, remotePort }: Socket) => ({
  localAddress,
  localPort,
  remoteAddress,
  remotePort,
});
