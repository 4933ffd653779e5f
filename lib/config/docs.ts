import { defaultOf } from './config.ts';
import { ROWS } from './settings.ts';

/** `.env.systemd.template`: every setting with its default, commented out. */
export function renderEnvTemplate(dataDir: string): string {
  const rows = ROWS.map(([, setting]) => {
    const names = setting.aliases === undefined ? '' : ` Also: ${setting.aliases.join(', ')}.`;
    return [
      ...wrap(`${setting.sentence}${names}`),
      ...wrap(`Allowed: ${setting.kind.allowed}.`),
      `#${setting.key}=${defaultOf(setting, dataDir)}`,
    ].join('\n');
  });
  return `${['# Settings of Bunkhouse, with their defaults. Made by `npm run generate`.', ...rows].join('\n\n')}\n`;
}

/** Settings as plain text for `--help`. */
export function renderHelp(): string {
  const width = Math.max(...ROWS.map(([, { key }]) => key.length));
  return ROWS.map(([, { key, sentence, kind, default: text }]) => {
    const value = text === '' ? 'empty' : text;
    return `  ${key.padEnd(width)}  ${sentence}\n  ${' '.repeat(width)}  Allowed: ${kind.allowed}. Default: ${value}`.replaceAll(
      '`',
      '',
    );
  }).join('\n');
}

/** Settings as a table for README. */
export function renderTable(): string {
  const rows = ROWS.map(([, { key, aliases = [], sentence, kind, default: text }]) => {
    const names = [key, ...aliases].map(code).join(', ');
    return `| ${names} | ${text === '' ? 'empty' : code(text)} | ${kind.allowed} | ${sentence} |`;
  });
  return ['| setting | default | allowed | what it does |', '|---|---|---|---|', ...rows].join('\n');
}

const MARKERS = /(<!-- settings:begin -->\n)[\s\S]*?(\n<!-- settings:end -->)/;

/** The document with the table between its markers, or null when it has no markers. */
export function withTable(document: string): string | null {
  return MARKERS.test(document) ? document.replace(MARKERS, (_, begin, end) => `${begin}${renderTable()}${end}`) : null;
}

// Private

const code = (text: string): string => `\`${text}\``;

/** Comment lines of at most 100 letters. */
function wrap(text: string): string[] {
  const lines: string[] = [];
  let line = '#';
  for (const word of text.replaceAll('`', '').split(' ')) {
    if (line.length + word.length >= 100) {
      lines.push(line);
      line = '#';
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}
