import { connect } from 'node:net';
import { Agent, type Dispatcher } from 'undici';
import { BunkhouseError, messageOf } from '../domain/errors.ts';
import type { HealthCheck, HttpCall } from '../domain/template.ts';
import type { Address, CheckResult, Prober } from './probe.ts';

const OK: CheckResult = { ok: true, reason: '' };
const CALL_TIMEOUT_MS = 15_000;
/** An identity answer is small; more is not read. */
const MAX_BODY_BYTES = 256 * 1024;
/** Facts may be made of long lists. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/** Connections are not kept: a check must meet whoever listens now, not who did a minute ago. */
export function createProber(): Prober {
  const agent = new Agent({ pipelining: 0, keepAliveTimeout: 1, maxResponseSize: MAX_BODY_BYTES });
  const asking = new Agent({ pipelining: 0, keepAliveTimeout: 1, maxResponseSize: MAX_ANSWER_BYTES });
  return {
    async check(address, checks) {
      for (const check of checks) {
        const result =
          check.kind === 'tcp' ? await checkTcp(address, check.timeoutSeconds) : await checkHttp(agent, address, check);
        if (!result.ok) return result;
      }
      return OK;
    },
    call: (address, call) => callBot(agent, address, call),
    ask: (address, question) => askBot(asking, address, { method: 'GET', ...question }),
    async close() {
      await Promise.all([agent.close(), asking.close()]);
    },
  };
}

// Private

function checkTcp(address: Address, timeoutSeconds: number): Promise<CheckResult> {
  return new Promise((resolve) => {
    const socket = connect({ host: address.host, port: address.port, timeout: timeoutSeconds * 1000 });
    const finish = (result: CheckResult): void => {
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', () => finish(OK));
    socket.once('timeout', () => finish(failed(`port ${address.port} did not accept within ${timeoutSeconds} s`)));
    socket.once('error', (error) => finish(failed(`port ${address.port}: ${error.message}`)));
  });
}

async function checkHttp(
  agent: Agent,
  address: Address,
  check: Extract<HealthCheck, { kind: 'http' }>,
): Promise<CheckResult> {
  try {
    const response = await request(agent, address, { method: 'GET', ...check }, check.timeoutSeconds * 1000);
    const body = await response.body.text();
    if (response.statusCode !== check.status)
      return failed(`${nameOf(check)} answered ${response.statusCode}, not ${check.status}`);
    return checkFields(nameOf(check), check.json, body);
  } catch (error) {
    return failed(`${nameOf(check)}: ${messageOf(error)}`);
  }
}

function checkFields(path: string, expected: Readonly<Record<string, string>>, body: string): CheckResult {
  if (Object.keys(expected).length === 0) return OK;
  const answer = parseObject(body);
  if (answer === null) return failed(`${path} did not answer with a JSON object`);
  for (const [field, value] of Object.entries(expected)) {
    if (String(answer[field]) !== value)
      return failed(`${path} is answered by another: its ${field} is not that of this bot`);
  }
  return OK;
}

/** The path alone: a query, like a header or an expected field, may have been filled in with a secret. */
function nameOf({ path }: { readonly path: string }): string {
  return path.replace(/\?.*/s, '');
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

async function callBot(agent: Agent, address: Address, call: HttpCall): Promise<void> {
  await answered(call, async () => {
    const response = await request(agent, address, call, CALL_TIMEOUT_MS);
    await response.body.dump();
    return { status: response.statusCode, body: null };
  });
}

async function askBot(agent: Agent, address: Address, call: HttpCall): Promise<unknown> {
  const body = await answered(call, async () => {
    const response = await request(agent, address, call, CALL_TIMEOUT_MS);
    return { status: response.statusCode, body: await response.body.text() };
  });
  try {
    return JSON.parse(body ?? '');
  } catch {
    throw new BunkhouseError('BOT_UNAVAILABLE', `${call.method} ${nameOf(call)} did not answer with JSON`);
  }
}

/** Throws BOT_UNAVAILABLE unless it is answered well. */
async function answered(
  call: HttpCall,
  work: () => Promise<{ readonly status: number; readonly body: string | null }>,
): Promise<string | null> {
  const { status, body } = await work().catch((error: unknown) => {
    throw new BunkhouseError('BOT_UNAVAILABLE', `${call.method} ${nameOf(call)}: ${messageOf(error)}`, {
      cause: error,
    });
  });
  if (status < 200 || status > 299)
    throw new BunkhouseError('BOT_UNAVAILABLE', `${call.method} ${nameOf(call)} answered ${status}`);
  return body;
}

function request(agent: Agent, address: Address, call: HttpCall, timeoutMs: number): Promise<Dispatcher.ResponseData> {
  return agent.request({
    origin: `http://${address.host}:${address.port}`,
    method: call.method,
    path: call.path,
    headers: { ...call.headers },
    signal: AbortSignal.timeout(timeoutMs),
  });
}

const failed = (reason: string): CheckResult => ({ ok: false, reason });
