import type { Command } from 'commander';
import { type Context, createContext, type SharedOptions } from './context.ts';

export interface Input<Options> {
  readonly context: Context;
  /** Positional arguments. */
  readonly args: readonly string[];
  readonly options: Options;
}

/** Makes `run` the action of a command; shared options become its context. */
export function action<Options extends object = object>(
  command: Command,
  run: (input: Input<Options>) => Promise<void> | void,
): Command {
  return command.action(async () => {
    const options = command.optsWithGlobals<Options & SharedOptions>();
    await run({ context: createContext(options), args: command.args, options });
  });
}
