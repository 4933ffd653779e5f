import { describe, expect, it } from 'vitest';
import type { Vault, VaultContent } from '../../lib/backup/vault.ts';

export const text = (content: string): VaultContent => {
  const bytes = Buffer.from(content);
  return { bytes: bytes.length, chunks: [bytes] };
};

export async function contentOf(vault: Vault, name: string): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of vault.read(name)) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

/** What every vault must do. `open` is asked for a vault that is empty. */
export function describeVault(what: string, open: () => Vault | Promise<Vault>): void {
  describe(`${what} as a vault`, () => {
    it('is empty at first, and gives back what it was given', async () => {
      const vault = await open();
      expect(await vault.list()).toEqual([]);
      await vault.write('a-1.json', text('one'));
      await vault.write('a-1.json', text('other'));
      await vault.write('b', text(''));
      const listed = [...(await vault.list())].sort((a, b) => (a.name < b.name ? -1 : 1));
      expect(listed).toEqual([
        { name: 'a-1.json', bytes: 5 },
        { name: 'b', bytes: 0 },
      ]);
      expect(await contentOf(vault, 'a-1.json')).toBe('other');
      expect(await contentOf(vault, 'b')).toBe('');
      vault.close();
    });

    it('takes what comes in pieces, also more than it holds in memory', async () => {
      const vault = await open();
      const piece = Buffer.alloc(1 << 20, 'x');
      async function* chunks(): AsyncGenerator<Uint8Array> {
        for (let n = 0; n < 20; n++) yield piece;
      }
      await vault.write('large', { bytes: 20 << 20, chunks: chunks() });
      expect(await vault.list()).toEqual([{ name: 'large', bytes: 20 << 20 }]);
      let length = 0;
      for await (const part of vault.read('large')) length += part.length;
      expect(length).toBe(20 << 20);
      vault.close();
    });

    it.each([
      { desc: 'breaks off', pieces: 10, fail: true },
      { desc: 'breaks off after much', pieces: 12_000, fail: true },
      { desc: 'is shorter than was said', pieces: 10, fail: false },
    ])('keeps nothing of what $desc', async ({ pieces, fail }) => {
      const vault = await open();
      async function* chunks(): AsyncGenerator<Uint8Array> {
        for (let n = 0; n < pieces; n++) yield Buffer.alloc(1024);
        if (fail) throw new Error('the container went away');
      }
      const writing = vault.write('a', { bytes: 1024 * (pieces + 1), chunks: chunks() });
      await expect(writing).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
      expect(await vault.list()).toEqual([]);
      vault.close();
    });

    it('says NOT_FOUND for what is not there, and removes it without a word', async () => {
      const vault = await open();
      await expect(contentOf(vault, 'nothing')).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await vault.remove('nothing');
      await vault.write('a', text('x'));
      await vault.remove('a');
      expect(await vault.list()).toEqual([]);
      vault.close();
    });
  });
}
