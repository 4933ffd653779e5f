import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Command } from 'commander';
import { messageOf } from '../domain/errors.ts';
import { usageFailure } from './failure.ts';
import { collect, keyValue } from './options.ts';

/** Options that say what a new bot is made of beside its template. */
export interface ContentOptions {
  readonly configFile?: string;
  readonly file?: readonly string[];
  readonly env?: readonly string[];
  readonly arg?: readonly string[];
}

/** As the API takes it. */
export interface BotContent {
  readonly files: Readonly<Record<string, { readonly base64: string }>>;
  readonly env: Readonly<Record<string, string>>;
  readonly args: readonly string[];
}

export function contentOptions(command: Command): Command {
  return command
    .option('--config-file <file>', 'same as --file NAME=FILE with the name of the file')
    .option('--file <path=local>', 'a file of the bot, from a local file; repeatable', collect)
    .option('--env <NAME=value>', 'an environment variable; repeatable', collect)
    .option('--arg <argument>', 'an argument after those of the template, as --arg=VALUE; repeatable', collect);
}

/** Reads the local files. Throws CliFailure `usage`. */
export function contentOf(options: ContentOptions): BotContent {
  return {
    files: Object.fromEntries(filesOf(options).map(([path, local]) => [path, read(local)])),
    env: Object.fromEntries((options.env ?? []).map((pair) => keyValue(pair, '--env'))),
    args: options.arg ?? [],
  };
}

// Private

function filesOf({ configFile, file = [] }: ContentOptions): (readonly [string, string])[] {
  const config = configFile === undefined ? [] : [[basename(configFile), configFile] as const];
  return [...config, ...file.map((pair) => keyValue(pair, '--file'))];
}

function read(local: string): { readonly base64: string } {
  try {
    return { base64: readFileSync(local).toString('base64') };
  } catch (cause) {
    throw usageFailure(`${local} cannot be read: ${messageOf(cause)}.`);
  }
}
