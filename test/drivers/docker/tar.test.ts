import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { textOfFrames } from '../../../lib/drivers/docker/output.ts';
import { firstFile, packTar } from '../../../lib/drivers/docker/tar.ts';

const file = (path: string, text: string, mode = 0o600) => ({ path, mode, data: Buffer.from(text) });

describe('tar archives', () => {
  it('are read by tar itself, with modes and root as owner', () => {
    const archive = packTar([file('supervisord.conf', 'secret\n'), file('a/b.txt', 'x'.repeat(1000), 0o644)]);
    const listing = execFileSync('tar', ['-tv', '--numeric-owner'], { input: archive }).toString();
    expect(listing).toMatch(/^-rw------- 0\/0 +7 .* supervisord\.conf\n-rw-r--r-- 0\/0 +1000 .* a\/b\.txt\n$/);
    expect(execFileSync('tar', ['-xO', 'a/b.txt'], { input: archive }).toString()).toBe('x'.repeat(1000));
  });

  it('give back the first file, whatever is in it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (data) => {
        const archive = packTar([{ path: 'x', mode: 0o600, data }, file('y', 'other')]);
        expect(firstFile(archive)).toEqual(Buffer.from(data));
      }),
    );
  });

  it('that tar itself made are read too', () => {
    const archive = execFileSync('tar', ['-c', '-C', import.meta.dirname, 'tar.test.ts']);
    expect(firstFile(archive)?.toString()).toContain('that tar itself made');
  });

  it('that are none, broken off or begin with a folder give nothing', () => {
    const folder = execFileSync('tar', ['-c', '-C', import.meta.dirname, '--no-recursion', '.']);
    const whole = packTar([file('x', 'y'.repeat(600))]);
    for (const archive of [Buffer.alloc(0), Buffer.alloc(1024), folder, whole.subarray(0, 700)]) {
      expect(firstFile(archive)).toBeNull();
    }
  });

  it('refuse paths that the format cannot hold', () => {
    expect(() => packTar([file('x'.repeat(101), '')])).toThrow('too long');
  });
});

describe('output of a container', () => {
  const frame = (stream: number, text: string): Buffer => {
    const header = Buffer.from([stream, 0, 0, 0, 0, 0, 0, 0]);
    header.writeUInt32BE(Buffer.byteLength(text), 4);
    return Buffer.concat([header, Buffer.from(text)]);
  };

  it('is the text of all frames in order', () => {
    expect(textOfFrames(Buffer.concat([frame(1, 'one\n'), frame(2, 'zwö\n')]))).toBe('one\nzwö\n');
  });

  it('may be empty or broken off', () => {
    expect(textOfFrames(Buffer.alloc(0))).toBe('');
    expect(textOfFrames(frame(1, 'whole').subarray(0, 10))).toBe('wh');
  });
});
