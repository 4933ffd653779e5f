import type { HealthCheck, HttpCall } from '../domain/template.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface CheckResult {
  readonly ok: boolean;
  /** What failed, for people; empty when ok. Never a header or a body, which may hold secrets. */
  readonly reason: string;
}

/** Asks bots over the network. Placeholders in checks and calls are filled in already. */
export interface Prober {
  /** One after the other until one fails. Never throws. */
  check(address: Address, checks: readonly HealthCheck[]): Promise<CheckResult>;
  /** Throws BOT_UNAVAILABLE when there is no answer in time or it is not 2xx. */
  call(address: Address, call: HttpCall): Promise<void>;
  /** The JSON that is answered to a GET. Throws BOT_UNAVAILABLE as `call`, and when the answer is no JSON. */
  ask(address: Address, question: Pick<HttpCall, 'path' | 'headers'>): Promise<unknown>;
  close(): Promise<void>;
}
