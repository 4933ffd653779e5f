import { chown, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseCompose } from '../../lib/drivers/folder/compose.ts';
import { FolderForeignHost } from '../../lib/drivers/folder/foreign.ts';
import { MemoryForeignHost } from '../../lib/drivers/memory/foreign.ts';
import type { ForeignFile } from '../../lib/drivers/memory/foreign-box.ts';
import { MemoryWorld } from '../../lib/drivers/memory/world.ts';
import { systemClock as clock } from '../../lib/util/clock.ts';
import { foreignHostContract } from '../contract/foreign-host.ts';

foreignHostContract('memory', async () => {
  const world = new MemoryWorld(clock);
  const file = (text: string): ForeignFile => ({ data: Buffer.from(text), mode: 0o644, uid: 1000 });
  world.foreign.set('one', {
    id: 'one',
    name: 'old-one',
    told: {
      image: 'old:1',
      command: ['run'],
      env: {},
      workdir: '/app',
      ports: [],
      mounts: [{ kind: 'bind', source: '/srv/one', target: '/app/data', readOnly: false }],
      labels: {},
    },
    files: new Map([
      ['/app/data/a.txt', file('one')],
      ['/app/data/sub/b.txt', file('two')],
    ]),
    restartPolicy: { name: 'unless-stopped', maximumRetryCount: 0 },
    alive: true,
    startedAt: 1,
    unreadable: false,
    starts: 0,
  });
  return {
    host: new MemoryForeignHost(world),
    from: null,
    ref: { kind: 'container', name: 'old-one', id: 'one' },
    gone: { kind: 'container', name: 'old-two', id: 'two' },
    hasLife: true,
    dispose: async () => world.close(),
  };
});

const COMPOSE = `
services:
  old:
    image: old:1
    container_name: old-one
    restart: unless-stopped
    command: >
      trade --config "/app/my config.json"
      --strategy 'A B'
    environment: { A: 1 }
    ports: ["127.0.0.1:8100:8101", "8102:8102/tcp"]
    volumes: ["./config.json:/app/config.json:ro", "./data:/app/data"]
`;

/** A tree `OWNER/ID/` of one deployment. */
async function folderTree(): Promise<string> {
  const base = await mkdtemp(join(tmpdir(), 'bunkhouse-test-old-'));
  const folder = join(base, 'User1', 'One');
  await mkdir(join(folder, 'data/sub'), { recursive: true });
  await writeFile(join(folder, 'docker-compose.yml'), COMPOSE);
  await writeFile(join(folder, 'data/a.txt'), 'one');
  await writeFile(join(folder, 'data/sub/b.txt'), 'two');
  if (process.getuid?.() === 0)
    for (const path of ['data', 'data/a.txt', 'data/sub', 'data/sub/b.txt'])
      await chown(join(folder, path), 1000, 1000);
  return base;
}

describe.skipIf(process.getuid?.() !== 0)('as root', () => {
  foreignHostContract('folder', async () => {
    const base = await folderTree();
    return {
      host: new FolderForeignHost(),
      from: base,
      ref: { kind: 'folder', path: join(base, 'User1/One') },
      gone: { kind: 'folder', path: join(base, 'User1/Two') },
      hasLife: false,
      dispose: () => rm(base, { recursive: true, force: true }),
    };
  });

  it('is in use while a process has a file of it open', async () => {
    const base = await folderTree();
    const { open } = await import('node:fs/promises');
    const ref = { kind: 'folder', path: join(base, 'User1/One') } as const;
    const host = new FolderForeignHost();
    const file = await open(join(base, 'User1/One/data/a.txt'));
    try {
      expect(await host.inspect(ref)).toMatchObject({
        state: 'running',
        note: expect.stringContaining(`${process.pid}`),
      });
      await expect(host.stop(ref)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
      await file.close();
      expect(await host.inspect(ref)).toMatchObject({ state: 'stopped' });
    } finally {
      await file.close().catch(() => {});
      await rm(base, { recursive: true, force: true });
    }
  });

  it('follows no link of a tenant: neither out of what is copied, nor where something is written', async () => {
    const base = await folderTree();
    const host = new FolderForeignHost();
    const ref = { kind: 'folder', path: join(base, 'User1/One') } as const;
    try {
      await rm(join(base, 'User1/One/data'), { recursive: true });
      await symlink('/etc', join(base, 'User1/One/data'));
      const read = async () => {
        for await (const _ of host.readTree(ref, '/app/data')) throw new Error('something was read');
      };
      await expect(read()).rejects.toMatchObject({ code: 'INVALID' });
      await expect(host.writeTree(ref, '/app/data', (async function* () {})())).rejects.toMatchObject({
        code: 'INVALID',
      });
    } finally {
      await rm(base, { recursive: true, force: true });
    }
  });
});

describe('a Compose file', () => {
  it('tells what its container is', () => {
    expect(parseCompose(COMPOSE, '/srv/one')).toEqual({
      name: 'old-one',
      image: 'old:1',
      command: ['trade', '--config', '/app/my config.json', '--strategy', 'A B'],
      env: { A: '1' },
      restartPolicy: { name: 'unless-stopped', maximumRetryCount: 0 },
      ports: [
        { host: '127.0.0.1', hostPort: 8100, containerPort: 8101 },
        { host: '', hostPort: 8102, containerPort: 8102 },
      ],
      mounts: [
        { kind: 'bind', source: '/srv/one/config.json', target: '/app/config.json', readOnly: true },
        { kind: 'bind', source: '/srv/one/data', target: '/app/data', readOnly: false },
      ],
    });
  });

  it.each([
    ['variables', `services: { a: { image: "x:${'$'}{TAG}" } }`, 'variables'],
    ['two services', 'services: { a: {}, b: {} }', '2 services'],
    ['none', 'services: {}', '0 services'],
    ['no services', '[]', ''],
    ['aliases without end', `a: &a [x]\nb: &b [${'*a,'.repeat(99)}*a]\nc: [${'*b,'.repeat(99)}*b]`, ''],
  ])('with %s is refused', (_, text, said) => {
    expect(() => parseCompose(text, '/srv')).toThrow(said);
  });
});
