import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type * as z from 'zod';
import { BunkhouseError } from '../domain/errors.ts';
import { problemOf } from './problem.ts';
import type { health } from './routes/health.ts';

/**
 * What a supervisor answers that does not lead: that it lives and is not ready, and to all else that it cannot do it.
 * `reason`: who leads.
 */
export function createStandbyApp(version: string, reason: string): (req: IncomingMessage, res: ServerResponse) => void {
  return (req, res) => {
    req.resume();
    if (req.method === 'GET' && req.url?.split('?')[0] === '/health') {
      const body: z.infer<typeof health> = { status: 'standby', ready: false, reason, version };
      reply(res, body, { 'Content-Type': 'application/json' });
      return;
    }
    const error = new BunkhouseError('STORE_UNAVAILABLE', `This supervisor is a standby: ${reason}.`, {
      retryAfterSeconds: 1,
    });
    const { problem, headers } = problemOf(error, randomUUID());
    reply(res, problem, headers);
  };
}

// Private

function reply(res: ServerResponse, body: object, headers: Readonly<Record<string, string>>): void {
  res.writeHead(503, headers).end(JSON.stringify(body));
}
