import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../lib/util/clock.ts';
import { silentLogger } from '../../lib/util/logger.ts';
import { type ServiceManager, serviceManager } from '../../lib/util/sd-notify.ts';

const available = ['systemd-notify', 'python3'].every((program) => spawnSync(program, ['--version']).status === 0);

/** A datagram socket as systemd has it: prints each message with the pid the kernel says it comes from. */
const LISTENER = `
import array, json, os, socket, struct, sys
name = sys.argv[1]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
s.bind("\\0" + name[1:] if name.startswith("@") else name)
print("listening", flush=True)
while True:
    data, control, _, _ = s.recvmsg(4096, 256)
    pid = next((struct.unpack("3i", value)[0] for _, kind, value in control if kind == socket.SCM_CREDENTIALS), 0)
    for _, kind, value in control:
        if kind == socket.SCM_RIGHTS:
            for fd in array.array("i", value): os.close(fd)
    if data != b"BARRIER=1": print(json.dumps({"pid": pid, "lines": data.decode().split("\\n")}), flush=True)
`;

interface Message {
  readonly pid: number;
  readonly lines: readonly string[];
}

describe.skipIf(!available)('service manager', () => {
  let folder: string;
  let listener: ChildProcess;
  let messages: Message[];
  let manager: ServiceManager;
  let complaints: string[];
  let healthy: boolean;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'bunkhouse-notify-'));
    messages = [];
    complaints = [];
    healthy = true;
  });

  afterEach(async () => {
    manager.close();
    if (listener.exitCode === null && listener.signalCode === null) {
      listener.kill('SIGKILL');
      await once(listener, 'close');
    }
    rmSync(folder, { recursive: true });
  });

  async function listen(socket: string, watchdogUsec?: string): Promise<void> {
    listener = spawn('python3', ['-c', LISTENER, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface({ input: listener.stdout as NodeJS.ReadableStream });
    await once(lines, 'line');
    lines.on('line', (line) => messages.push(JSON.parse(line)));
    const complain = (_: object, message: string): void => void complaints.push(message);
    manager = serviceManager({
      socket,
      watchdogUsec,
      clock: systemClock,
      log: { ...silentLogger, warn: complain, error: complain },
      healthy: () => healthy,
    });
  }

  const texts = (): string[] => messages.map(({ lines }) => lines.filter((line) => line !== '').join(' '));
  const pings = (): number => texts().filter((text) => text === 'WATCHDOG=1').length;

  it.each(['path', 'abstract name'])(
    'is told of readiness, status and stopping, in this order, by %s',
    async (kind) => {
      await listen(kind === 'path' ? join(folder, 'notify.sock') : `@bunkhouse-test-${process.pid}`);
      await manager.ready('3 bots\nREADY=0');
      await manager.status('4 bots');
      await manager.stopping();
      await expect.poll(texts).toEqual(['READY=1 STATUS=3 bots READY=0', 'STATUS=4 bots', 'STOPPING=1']);
      expect(complaints).toEqual([]);
    },
  );

  it.skipIf(process.getuid?.() !== 0)('hears root in the name of the main process', async () => {
    await listen(join(folder, 'notify.sock'));
    await manager.ready('up');
    await expect.poll(() => messages.map(({ pid }) => pid)).toEqual([process.pid]);
  });

  it('is pinged well within its time, but only once ready and while healthy', { timeout: 15_000 }, async () => {
    await listen(join(folder, 'notify.sock'), '300000');
    await systemClock.sleep(400);
    expect(messages).toEqual([]);
    await manager.ready('up');
    await expect.poll(pings, { timeout: 5000 }).toBeGreaterThanOrEqual(3);
    healthy = false;
    await expect.poll(() => complaints.length, { timeout: 5000 }).toBeGreaterThanOrEqual(1);
    await systemClock.sleep(200);
    const last = pings();
    await systemClock.sleep(500);
    expect(pings()).toBe(last);
    healthy = true;
    await expect.poll(pings, { timeout: 5000 }).toBeGreaterThan(last);
  });

  it('that is gone is complained about, and nothing else happens', async () => {
    await listen(join(folder, 'notify.sock'));
    listener.kill('SIGKILL');
    await once(listener, 'close');
    await manager.ready('up');
    expect(complaints).toEqual(['the service manager could not be told; is systemd-notify installed?']);
  });
});

it('without a service manager nothing is sent', async () => {
  const log = { ...silentLogger, warn: (_: object, message: string) => expect.fail(message) };
  const nobody = serviceManager({
    socket: undefined,
    watchdogUsec: '1000',
    clock: systemClock,
    log,
    healthy: () => true,
  });
  await nobody.ready('up');
  await nobody.stopping();
  nobody.close();
});
