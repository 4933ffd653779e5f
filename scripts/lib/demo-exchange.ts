import { startPaperExchange } from '../../test/fixtures/exchange/server.ts';
import type { Steps } from './steps.ts';

export interface DemoExchange {
  readonly port: number;
  /** Whether this process runs it; otherwise another demo does. */
  readonly own: boolean;
  close(): Promise<void>;
}

const HOST = '127.0.0.1';

/** The paper exchange on this port: one that is there already, or a new one. Throws when something else has the port. */
export async function openExchange(port: number, steps: Steps): Promise<DemoExchange> {
  if (await answers(port)) {
    steps.line(`✓ the paper exchange runs already on port ${port}`);
    return { port, own: false, close: async () => {} };
  }
  const exchange = await startPaperExchange({ host: HOST, port }).catch((cause: NodeJS.ErrnoException) => {
    const taken = `Port ${port} is taken, and the paper exchange needs it: end what has it, or set POOL_BASE_PORT (it takes the port 100 below).`;
    throw cause.code === 'EADDRINUSE' ? new Error(taken, { cause }) : cause;
  });
  steps.line(`✓ paper exchange on ${HOST}:${port}`);
  return { port, own: true, close: () => exchange.close() };
}

async function answers(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://${HOST}:${port}/api/v3/ping`, { signal: AbortSignal.timeout(2000) });
    return response.ok && (await response.text()) === '{}';
  } catch {
    return false;
  }
}
