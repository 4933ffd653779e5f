/** Text for a terminal: cells, tables, amounts. Pure. */

const ESCAPE = '\u001b';
const KEPT = ['\n', '\t'];

/** One line without control characters: what a bot says of itself must not steer an operator's terminal. */
export function plain(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, ' ').trim();
}

/** Output of a bot for a terminal: colours, tabs and line breaks stay, every other control character goes. */
export function safeOutput(text: string): string {
  return text.replaceAll(/(\p{Cc})(\[[0-9;]*m)?/gu, (found, control: string, colour = '') =>
    KEPT.includes(control) || (control === ESCAPE && colour !== '') ? found : colour,
  );
}

/** Columns padded to their widest cell; the last one is not padded, and is cut where `width` ends. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], width = 0): string {
  const lines = [head, ...rows].map((row) => row.map(plain));
  const widths = head.map((_, column) => Math.max(...lines.map((row) => (row[column] ?? '').length)));
  const text = lines.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return `${text.map((line) => (width > 0 ? clip(line, width) : line)).join('\n')}\n`;
}

/** `key  value` lines with the keys in one column. */
export function facts(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.max(...pairs.map(([key]) => key.length));
  return pairs.map(([key, value]) => `${key.padEnd(width)}  ${plain(value)}\n`).join('');
}

export function clip(line: string, width: number): string {
  return line.length <= width ? line : `${line.slice(0, Math.max(0, width - 1))}…`;
}

/** `12.3 MiB`; a dash for null. */
export function mebibytes(bytes: number | null): string {
  return bytes === null ? '-' : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

/** `5s`, `3m 20s`, `2h 5m`, `4d 3h`: the two largest units. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${whole % 60}s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)}h ${Math.floor((whole % 3600) / 60)}m`;
  return `${Math.floor(whole / 86_400)}d ${Math.floor((whole % 86_400) / 3600)}h`;
}

/** `1 bot`, `2 bots`. */
export function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? '' : 's'}`;
}

const BAR_WIDTH = 20;

/** `[####----]`: how much of something is done. */
export function bar(done: number, all: number): string {
  const filled = all === 0 ? BAR_WIDTH : Math.floor((Math.min(done, all) / all) * BAR_WIDTH);
  return `[${'#'.repeat(filled)}${'-'.repeat(BAR_WIDTH - filled)}]`;
}
