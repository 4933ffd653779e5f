/**
 * Runs something that cleans up after itself when its signal aborts, as SIGINT and SIGTERM make it. It resolves with the
 * exit code; a failure is printed and exits with 1, and one that a signal brought about with 130.
 */
export async function runInterruptibly(work: (signal: AbortSignal) => Promise<number>): Promise<void> {
  const stopping = new AbortController();
  const stop = (name: NodeJS.Signals): void => {
    console.error('cleaning up …');
    stopping.abort(new Error(`ended by ${name}`));
  };
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, stop);
  try {
    process.exitCode = await work(stopping.signal);
  } catch (error) {
    console.error(stopping.signal.aborted ? 'ended before it was done' : error);
    process.exitCode = stopping.signal.aborted ? 130 : 1;
  } finally {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, stop);
  }
}
