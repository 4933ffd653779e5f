const HEADER = 8;

/** A container's output as text, from the engine's frames: stream, three zeros, length (big endian), bytes. */
export function textOfFrames(frames: Buffer): string {
  const parts: Buffer[] = [];
  for (let at = 0; at + HEADER <= frames.length; ) {
    const end = at + HEADER + frames.readUInt32BE(at + 4);
    parts.push(frames.subarray(at + HEADER, end));
    at = end;
  }
  return Buffer.concat(parts).toString();
}
