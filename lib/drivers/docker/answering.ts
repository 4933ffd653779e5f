import { BunkhouseError, messageOf } from '../../domain/errors.ts';
import type { Clock } from '../../util/clock.ts';
import type { Agent } from '../driver.ts';

const LOOK_EVERY_MS = 50;

export interface AnswerSources {
  readonly connect: () => Promise<Agent>;
  /** The end of what the container's supervisord said. */
  readonly output: () => Promise<string>;
}

/** Resolves once the plugin answers. Throws AGENT_UNAVAILABLE, with the end of supervisord's output, when it does not in time. */
export async function untilAnswering(
  container: string,
  sources: AnswerSources,
  { clock, ms }: { readonly clock: Clock; readonly ms: number },
): Promise<void> {
  const deadline = clock.monotonic() + ms;
  for (;;) {
    const failure = await sources.connect().then(failureOf, messageOf);
    if (failure === null) return;
    if (clock.monotonic() > deadline) {
      const said = (await sources.output()).trim() || '(nothing)';
      const message = `supervisord of ${container} did not answer within ${ms} ms: ${failure}. It said:\n${said}`;
      throw new BunkhouseError('AGENT_UNAVAILABLE', message);
    }
    await clock.sleep(LOOK_EVERY_MS);
  }
}

async function failureOf(agent: Agent): Promise<string | null> {
  try {
    await agent.observe();
    return null;
  } catch (error) {
    return messageOf(error);
  } finally {
    await agent.close();
  }
}
