import type { Command } from 'commander';
import type { LeaseTick } from '../../services/lease-api.ts';
import { action } from '../action.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { CliFailure } from '../failure.ts';
import { duration } from '../text.ts';
import { leasePath } from '../wait.ts';

const RETRY_MS = 1000;

/** `leases watch ID`: until the lease ends or Ctrl-C. */
export function watchCommand(leases: Command): void {
  const command = leases.command('watch').argument('<lease>').description('count down until a lease ends');
  action(command, async ({ context, args: [id = ''] }) => watch(context, id));
}

// Private

/** A lost connection is waited for once there was one; a lease that is unknown ends it. */
async function watch(context: Context, id: string): Promise<void> {
  let begun = false;
  for (let ended = false; !ended; ) {
    try {
      for await (const tick of ticks(context, id)) {
        begun = true;
        context.print(context.json ? `${JSON.stringify(tick)}\n` : sentence(tick));
        ended = tick.type === 'expired';
      }
    } catch (error) {
      if (!begun || !isPassing(error)) throw error;
      context.note(`bunkhouse: ${error.message} Trying again.\n`);
    }
    if (!ended) await context.sleep(RETRY_MS);
  }
}

const isPassing = (error: unknown): error is CliFailure =>
  error instanceof CliFailure && error.exitCode === EXIT.unavailable;

async function* ticks(context: Context, id: string): AsyncGenerator<LeaseTick> {
  const { signal } = new AbortController();
  for await (const { data } of context.client.stream(leasePath(id, '/status'), { lastEventId: '', signal }))
    yield JSON.parse(data) as LeaseTick;
}

function sentence(tick: LeaseTick): string {
  switch (tick.type) {
    case 'ttl':
      return `${duration(tick.ttlSeconds)} left, until ${tick.expiresAt}\n`;
    case 'expired':
      return `ended: ${tick.how}\n`;
    case 'reconnect':
      return 'the supervisor restarts\n';
  }
}
