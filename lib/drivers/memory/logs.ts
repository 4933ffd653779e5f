import type { LogChunk } from '../../domain/agent.ts';
import { BunkhouseError } from '../../domain/errors.ts';

const LONGEST_CHUNK = 256 * 1024;
const KEPT = 64 * 1024;

/** What make-believe processes print, by the name of the process. */
export class MemoryLogs {
  readonly #texts = new Map<string, Buffer>();

  say(name: string, line: string): void {
    const text = Buffer.concat([this.#texts.get(name) ?? Buffer.alloc(0), Buffer.from(`${line}\n`)]);
    this.#texts.set(name, text.subarray(-KEPT));
  }

  /** Throws NOT_FOUND. */
  read(name: string, offset: number, length: number): LogChunk {
    const text = this.#texts.get(name);
    if (text === undefined) throw new BunkhouseError('NOT_FOUND', `there is no output of ${name}`);
    const start = offset < 0 ? Math.max(0, text.length + offset) : Math.min(offset, text.length);
    const next = Math.min(start + Math.min(length, LONGEST_CHUNK), text.length);
    return { file: name, offset: start, next, size: text.length, data: text.toString('utf8', start, next) };
  }

  delete(name: string): void {
    this.#texts.delete(name);
  }
}
