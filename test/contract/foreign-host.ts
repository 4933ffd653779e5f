import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DeploymentRef } from '../../lib/domain/migration.ts';
import type { ForeignHost } from '../../lib/drivers/foreign-host.ts';
import { readTar, tarOf } from '../../lib/util/tree.ts';

export interface ForeignStage {
  readonly host: ForeignHost;
  /** To be passed to `list`. */
  readonly from: string | null;
  /** A deployment with the folder `/app/data`, mounted, that holds `a.txt` ("one") and `sub/b.txt` ("two"), owned by uid 1000. */
  readonly ref: DeploymentRef;
  readonly gone: DeploymentRef;
  /** Whether it is running, and can be started and stopped; otherwise it is only files. */
  readonly hasLife: boolean;
  dispose(): Promise<void>;
}

async function contentsOf(tree: AsyncIterable<Uint8Array>): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { header, content } of readTar(tree)) {
    if (header.type !== 'file') continue;
    let text = '';
    for await (const chunk of content) text += Buffer.from(chunk).toString();
    found[header.name.replace(/^\.\//, '')] = text;
  }
  return found;
}

async function* bytes(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

const aFile = (name: string, text: string): AsyncIterable<Uint8Array> =>
  tarOf((writer) => writer.add({ name, size: text.length, mode: 0o640, uid: 1000, gid: 1000 }, bytes(text)));

/** What every host of foreign deployments does. */
export function foreignHostContract(name: string, setUp: () => Promise<ForeignStage>): void {
  describe(`${name}: a host of deployments that are not ours`, () => {
    let stage: ForeignStage;
    beforeAll(async () => {
      stage = await setUp();
    }, 60_000);
    afterAll(() => stage?.dispose(), 60_000);

    const state = async (): Promise<string | undefined> => (await stage.host.inspect(stage.ref))?.state;

    it('lists it and tells of it, whether it lives or not', async () => {
      const { host, ref, from, hasLife } = stage;
      const { found, trouble } = await host.list(from);
      expect(trouble).toEqual([]);
      expect(found.map((one) => JSON.stringify(one.ref))).toContain(JSON.stringify(ref));
      expect(await host.inspect(ref)).toMatchObject({ ref, state: hasLife ? 'running' : 'stopped' });
      expect((await host.inspect(ref))?.mounts).toContainEqual(
        expect.objectContaining({ kind: 'bind', target: '/app/data', readOnly: false }),
      );
    });

    it('says null of one that is gone, and NOT_FOUND when something is to be done to it', async () => {
      const { host, gone } = stage;
      expect(await host.inspect(gone)).toBeNull();
      await expect(contentsOf(host.readTree(gone, '/app/data'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(host.writeTree(gone, '/app/data', aFile('x', 'y'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await host.remove(gone);
      if (!stage.hasLife) return;
      await expect(host.stop(gone, 1)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(host.start(gone)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    });

    it('reads a tree and a file by the last part of its path, living or not, and knows sizes', async () => {
      const { host, ref } = stage;
      expect(await contentsOf(host.readTree(ref, '/app/data'))).toEqual({
        'data/a.txt': 'one',
        'data/sub/b.txt': 'two',
      });
      expect(await contentsOf(host.readTree(ref, '/app/data/a.txt'))).toEqual({ 'a.txt': 'one' });
      await expect(contentsOf(host.readTree(ref, '/app/data/none'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
      expect(await host.sizeOf(ref, '/app/data')).toBe(6);
    });

    it('keeps from being restarted, stops until proven dead, starts; each again is the same', async () => {
      const { host, ref, hasLife } = stage;
      if (!hasLife) return expect(host.start(ref)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
      await expect(host.writeTree(ref, '/app/data', aFile('a.txt', 'x'))).rejects.toMatchObject({ code: 'CONFLICT' });
      await expect(host.remove(ref)).rejects.toMatchObject({ code: 'CONFLICT' });
      const policy = (await host.inspect(ref))?.restartPolicy;
      expect(policy).toEqual({ name: 'unless-stopped', maximumRetryCount: 0 });
      for (const _ of [1, 2]) await host.setRestartPolicy(ref, { name: 'no', maximumRetryCount: 0 });
      expect((await host.inspect(ref))?.restartPolicy?.name).toBe('no');
      for (const _ of [1, 2]) await host.stop(ref, 1);
      expect(await state()).toBe('stopped');
      for (const _ of [1, 2]) await host.start(ref);
      expect(await state()).toBe('running');
      await host.setRestartPolicy(ref, policy ?? { name: 'no', maximumRetryCount: 0 });
      expect((await host.inspect(ref))?.restartPolicy).toEqual(policy);
      await host.stop(ref, 1);
    }, 60_000);

    it('writes files into one that is stopped, which are read again as they are, owner and mode too', async () => {
      const { host, ref } = stage;
      await host.writeTree(ref, '/app/data', aFile('a.txt', 'new'));
      await host.writeTree(ref, '/app/data', aFile('c.txt', ''));
      expect(await contentsOf(host.readTree(ref, '/app/data'))).toEqual({
        'data/a.txt': 'new',
        'data/c.txt': '',
        'data/sub/b.txt': 'two',
      });
      for await (const { header } of readTar(host.readTree(ref, '/app/data/a.txt')))
        expect(header).toMatchObject({ uid: 1000, gid: 1000, mode: 0o640 });
    });

    it('tells which ports somebody has bound', async () => {
      expect(await stage.host.boundPorts([])).toEqual([]);
      expect(await stage.host.boundPorts([1])).toEqual([]);
    });

    it('removes it, and what is mounted stays', async () => {
      const { host, ref, hasLife } = stage;
      await host.remove(ref);
      await host.remove(ref);
      if (hasLife) expect(await host.inspect(ref)).toBeNull();
    });
  });
}
