#!/usr/bin/env node
import { CommanderError } from 'commander';
import { BunkhouseError, messageOf } from '../domain/errors.ts';
import { EXIT, exitCodeOf } from './exit-codes.ts';
import { CliFailure, describeFailure } from './failure.ts';
import { createProgram } from './program.ts';

// A reader that has seen enough (`| head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failed);
});

try {
  await createProgram().parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** Says what went wrong on standard error and returns the exit code. */
function report(error: unknown): number {
  // Commander has written its own message.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (!(error instanceof CliFailure)) {
    process.stderr.write(`bunkhouse: ${messageOf(error)}\n`);
    return error instanceof BunkhouseError ? exitCodeOf(error.code) : EXIT.failed;
  }
  if (error.document !== undefined && process.argv.includes('--json')) process.stdout.write(`${error.document}\n`);
  process.stderr.write(describeFailure(error));
  return error.exitCode;
}
