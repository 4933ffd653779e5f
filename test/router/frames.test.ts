import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Frames } from '../../lib/router/frames.ts';

const TEXT = 1;
const CLOSE = 8;

function frame(size: number, opcode: number, mask: boolean): Buffer {
  const masked = mask ? 0x80 : 0;
  const header = [
    0x80 | opcode,
    ...(size < 126
      ? [masked | size]
      : size < 65_536
        ? [masked | 126, size >> 8, size & 255]
        : [masked | 127, 0, 0, 0, 0, 0, size >> 16, (size >> 8) & 255, size & 255]),
  ];
  return Buffer.concat([Buffer.from([...header, ...(mask ? [1, 2, 3, 4] : [])]), Buffer.alloc(size, 7)]);
}

describe('frames of a WebSocket', () => {
  it('are followed wherever the stream is cut', () => {
    const size = fc.oneof(fc.integer({ min: 0, max: 200 }), fc.constantFrom(125, 126, 65_535, 65_536, 70_000));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(size, fc.boolean()), { minLength: 1 }),
        fc.nat(),
        fc.integer({ min: 1, max: 99_999 }),
        (sizes, cut, step) => {
          const all = sizes.map(([length, mask]) => frame(length, TEXT, mask));
          const ends = new Set(all.map((_, index) => Buffer.concat(all.slice(0, index)).length));
          const stream = Buffer.concat(all);
          const most = cut % stream.length;
          const frames = new Frames();
          for (let at = 0; at < most; at += step) frames.follow(stream.subarray(at, Math.min(at + step, most)));
          expect(frames.takesAnother).toBe(ends.has(most));
          frames.follow(stream.subarray(most));
          expect(frames.takesAnother).toBe(true);
        },
      ),
    );
  });

  it('come to an end with one that closes', () => {
    const frames = new Frames();
    frames.follow(frame(2, CLOSE, false));
    expect(frames.takesAnother).toBe(false);
  });
});
