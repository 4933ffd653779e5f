import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Goes on as another program of ours, in the same process: signals, exit code and systemd's watchdog need nobody in between. */
export function become(program: 'main' | 'rehome'): void {
  const file = fileURLToPath(new URL(`../${program}${extname(import.meta.filename)}`, import.meta.url));
  process.execve?.(process.execPath, [process.execPath, file]);
}
