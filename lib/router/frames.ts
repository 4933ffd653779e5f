/** Follows a stream of WebSocket frames, to know whether one of our own may come next. */
export class Frames {
  /** What is there of the present frame's header. */
  #header: number[] = [];
  /** Bytes of the present frame still to come. */
  #payload = 0;
  #closed = false;

  /** Takes what was passed on. */
  follow(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const skipped = Math.min(this.#payload, bytes.length - at);
      this.#payload -= skipped;
      at += skipped;
      if (at < bytes.length) this.#take(bytes[at++] as number);
    }
  }

  /** Between two frames, and the last was none that closes. */
  get takesAnother(): boolean {
    return this.#header.length === 0 && this.#payload === 0 && !this.#closed;
  }

  #take(byte: number): void {
    const header = this.#header;
    header.push(byte);
    if (header.length < 2 || header.length < headerSize(header)) return;
    this.#payload = payloadSize(header);
    this.#closed ||= ((header[0] as number) & 0x0f) === CLOSE;
    this.#header = [];
  }
}

/** A frame that closes, from a server: with a code and a reason of less than 124 bytes. */
export function closeFrame(code: number, reason: string): Buffer {
  const text = Buffer.from(reason);
  return Buffer.concat([Buffer.from([0x80 | CLOSE, 2 + text.length, code >> 8, code & 0xff]), text]);
}

// Private

const CLOSE = 0x8;

/** Of the length that says how many bytes say it, when it is not the length itself. */
const EXTENDED: Readonly<Record<number, number>> = { 126: 2, 127: 8 };

function extendedSize([, second = 0]: readonly number[]): number {
  return EXTENDED[second & 0x7f] ?? 0;
}

function headerSize(header: readonly number[]): number {
  const mask = (header[1] as number) & 0x80 ? 4 : 0;
  return 2 + extendedSize(header) + mask;
}

function payloadSize(header: readonly number[]): number {
  const size = extendedSize(header);
  if (size === 0) return (header[1] as number) & 0x7f;
  return header.slice(2, 2 + size).reduce((sum, byte) => sum * 256 + byte, 0);
}
