import type { CheckResult } from '../probes/probe.ts';

/** What stands before the bots' host names, towards their callers, and gets the certificates. No method throws. */
export interface Front {
  /** Has these host names lead here, and no others of this installation. Again is a no-op that makes good what was lost. */
  serve(hosts: readonly string[]): Promise<CheckResult>;
  /** Begins anew with the certificates it has none of yet. Those that are there stay. */
  retry(): Promise<CheckResult>;
  /** Whether a caller of that name is shown a certificate that is valid for it. */
  check(host: string): Promise<CheckResult>;
  close(): Promise<void>;
}
