import type { z } from 'zod';
import type {
  AgentObservation,
  ArchiveInfo,
  BackupInfo,
  BotObservation,
  BotSpec,
  ListenerObservation,
  LogChunk,
  RestoredInfo,
  RestoreOrder,
  WaitResult,
} from '../domain/agent.ts';
import { BunkhouseError, type ErrorCode } from '../domain/errors.ts';
import { type ResetRule, resetSeconds } from '../domain/template.ts';
import type { Agent } from '../drivers/driver.ts';
import * as answers from './answers.ts';
import type { Endpoint } from './config.ts';
import { type CallOptions, XmlRpcTransport } from './transport.ts';

/** Fault numbers of the plugin: lib/README.md, "Wire protocol of the plugin". */
const FAULTS: Readonly<Record<number, ErrorCode>> = {
  1001: 'STALE_GENERATION',
  1002: 'INVALID',
  1003: 'CONFLICT',
  1004: 'NOT_FOUND',
  1005: 'INTERNAL',
  1006: 'RESET_FAILED',
  1007: 'SERVICE_FAILED',
};

/** supervisord's own fault. */
const UNKNOWN_METHOD = 1;
/** Which a container that was made by an earlier version does not have. */
const YOUNGER: ReadonlySet<string> = new Set(['backup', 'receive', 'restore', 'restored']);

const PROMPT: CallOptions = { silenceMs: 30_000 };
/** How much longer than asked a held-back answer may take to arrive. */
const RESET_SLACK_SECONDS = 45;
const WAIT_SLACK_MS = 15_000;
/** Done by helper processes inside: files written, leftovers ended, gigabytes deleted or packed. */
const APPLY: CallOptions = { silenceMs: 90_000, deferred: true };
const REMOVE: CallOptions = { silenceMs: 630_000, deferred: true };
const ARCHIVE: CallOptions = { silenceMs: 3_660_000, deferred: true };

/** The Bunkhouse plugin of one container, spoken to by XML-RPC. */
export class SupervisordAgent implements Agent {
  readonly #transport: XmlRpcTransport;

  constructor(endpoint: Endpoint) {
    this.#transport = new XmlRpcTransport(endpoint);
  }

  observe(): Promise<AgentObservation> {
    return this.#call('observe', {}, answers.agentObservation);
  }

  apply(spec: BotSpec): Promise<BotObservation> {
    return this.#call('apply', spec, answers.botObservation, APPLY);
  }

  async remove(bot: string, generation: number): Promise<void> {
    await this.#call('remove', { bot, generation }, answers.nothing, REMOVE);
  }

  wait(cursor: number, seconds: number, signal?: AbortSignal | undefined): Promise<WaitResult> {
    const silenceMs = seconds * 1000 + WAIT_SLACK_MS;
    return this.#call('wait', { cursor, seconds }, answers.waitResult, { silenceMs, signal, deferred: true });
  }

  listener(bot: string): Promise<ListenerObservation> {
    return this.#call('listener', { bot }, answers.listenerObservation);
  }

  log(bot: string, offset: number, length: number): Promise<LogChunk> {
    return this.#call('log', { bot, offset, length }, answers.logChunk);
  }

  serviceLog(service: string, offset: number, length: number): Promise<LogChunk> {
    return this.#call('service_log', { service, offset, length }, answers.logChunk);
  }

  async reset(bot: string, generation: number, rule: ResetRule): Promise<void> {
    const silenceMs = (resetSeconds(rule) + RESET_SLACK_SECONDS) * 1000;
    await this.#call('reset', { bot, generation, ...rule }, answers.nothing, { silenceMs, deferred: true });
  }

  archive(bot: string): Promise<ArchiveInfo> {
    return this.#call('archive', { bot }, answers.archiveInfo, ARCHIVE);
  }

  backup(bot: string): Promise<BackupInfo> {
    return this.#call('backup', { bot }, answers.backupInfo, ARCHIVE);
  }

  async sendArchive(bot: string, upload: string, offset: number, data: Uint8Array): Promise<void> {
    const piece = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64');
    await this.#call('receive', { bot, upload, offset, data: piece }, answers.nothing);
  }

  restore(bot: string, generation: number, order: RestoreOrder): Promise<RestoredInfo> {
    return this.#call('restore', { bot, generation, ...order }, answers.restoredInfo, ARCHIVE);
  }

  async restored(bot: string, upload: string): Promise<boolean> {
    return (await this.#call('restored', { bot, upload }, answers.restored, ARCHIVE)).restored;
  }

  async fetchArchive(archive: string, offset: number, length: number): Promise<Uint8Array> {
    const chunk = await this.#call('fetch', { archive, offset, length }, answers.archiveChunk);
    return Buffer.from(chunk.data, 'base64');
  }

  async discardArchive(archive: string): Promise<void> {
    await this.#call('discard', { archive }, answers.nothing);
  }

  close(): Promise<void> {
    return this.#transport.close();
  }

  async #call<T>(method: string, argument: object, schema: z.ZodType<T>, options: CallOptions = PROMPT): Promise<T> {
    const response = await this.#transport.call(`bunkhouse.${method}`, [asciiJson(argument)], options);
    if (response.kind === 'fault') throw faultError(method, response.code, response.message);
    const answer = schema.safeParse(parseJson(response.value));
    if (answer.success) return answer.data;
    const why = answer.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
    throw new BunkhouseError('AGENT_UNAVAILABLE', `the answer of bunkhouse.${method} is not understood: ${why}`);
  }
}

/** JSON in printable ASCII: safe in XML, whatever control characters or lone surrogates the strings hold. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** What is no JSON becomes undefined, which no schema accepts. The text itself is not quoted in errors: it may be a log. */
function parseJson(value: unknown): unknown {
  if (typeof value !== 'string') return undefined;
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}

/** supervisord puts "UNKNOWN: " before the text of faults that are not its own. */
function faultError(method: string, code: number, message: string): BunkhouseError {
  const text = message.replace(/^UNKNOWN: /, '');
  const known = FAULTS[code];
  if (known === 'STALE_GENERATION') return new BunkhouseError(known, text, { details: generationIn(text) });
  if (known !== undefined) return new BunkhouseError(known, text);
  if (code === UNKNOWN_METHOD && YOUNGER.has(method)) {
    const next = 'it gets the present one when it is made anew';
    return new BunkhouseError('UNSUPPORTED', `its container's plugin does not know ${method} yet: ${next}`);
  }
  return new BunkhouseError('AGENT_UNAVAILABLE', `supervisord refused bunkhouse.${method}: fault ${code}, ${text}`);
}

/** A fault has no room for facts but in its sentence, which ends "… is older than N" or "… was removed in generation N". */
function generationIn(text: string): { readonly generation: number } | Record<string, never> {
  const match = /(?:is older than|was removed in generation) (\d+)/.exec(text);
  return match === null ? {} : { generation: Number(match[1]) };
}
