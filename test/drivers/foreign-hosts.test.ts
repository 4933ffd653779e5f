import { expect, it } from 'vitest';
import { FolderForeignHost } from '../../lib/drivers/folder/foreign.ts';
import { ForeignHosts } from '../../lib/drivers/foreign-hosts.ts';
import { MemoryForeignHost } from '../../lib/drivers/memory/foreign.ts';
import { MemoryWorld } from '../../lib/drivers/memory/world.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** An engine that stops answering in the middle of an archive. */
class Hanging extends MemoryForeignHost {
  override async *readTree(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('some');
    await new Promise(() => {});
  }
}

it('waits for no engine for ever that stops in the middle of an archive', async () => {
  const clock = new ManualClock();
  const hosts = new ForeignHosts({
    containers: new Hanging(new MemoryWorld(clock)),
    folders: new FolderForeignHost(),
    clock,
  });
  const pieces = hosts.readTree({ kind: 'container', name: 'a', id: 'one' }, '/data');
  expect((await pieces.next()).value).toEqual(Buffer.from('some'));
  let error: unknown = null;
  const rest = pieces.next().catch((thrown: unknown) => {
    error = thrown;
  });
  await clock.advance(600_000);
  expect(error).toMatchObject({ code: 'DEADLINE' });
  await rest;
  expect(clock.pending).toBe(0);
});
