import { BunkhouseError } from '../domain/errors.ts';

/** An element holds either elements or text; white space between elements is dropped. */
export interface XmlElement {
  readonly name: string;
  readonly children: readonly XmlElement[];
  readonly text: string;
}

interface OpenElement {
  readonly name: string;
  readonly children: XmlElement[];
  text: string;
}

const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
/** Far deeper than any answer of supervisord; a bound against answers made to exhaust the stack. */
const MAX_DEPTH = 100;

/**
 * Parses the little of XML that XML-RPC is made of: elements without attributes, text, character references. Doctypes,
 * comments and CDATA are refused: supervisord writes none, and entities declared in a doctype are a known attack.
 * Throws INVALID.
 */
export function parseXml(source: string): XmlElement {
  const text = source.replace(/^\uFEFF?\s*<\?xml[^?]*\?>/, '');
  const document: OpenElement = { name: 'document', children: [], text: '' };
  const open = [document];
  let position = 0;
  for (const match of text.matchAll(/([^<>]*)<([^<>]*)>/gy)) {
    top(open).text += unescapeText(match[1] ?? '');
    applyTag(open, readTag(match[2] ?? ''));
    position += match[0].length;
  }
  if (open.length > 1 || text.slice(position).trim() !== '') throw malformed('it ends too early');
  const [root] = finish(document).children;
  if (root === undefined || document.children.length > 1) throw malformed('not exactly one document element');
  return root;
}

function applyTag(open: OpenElement[], tag: Tag): void {
  if (tag.kind === 'end') {
    const element = top(open);
    if (open.length === 1 || element.name !== tag.name) throw malformed(`</${tag.name}> closes nothing`);
    open.pop();
    top(open).children.push(finish(element));
    return;
  }
  const element = { name: tag.name, children: [], text: '' };
  if (tag.kind === 'empty') top(open).children.push(element);
  else if (open.push(element) > MAX_DEPTH) throw malformed('nested too deeply');
}

type Tag = { readonly kind: 'start' | 'end' | 'empty'; readonly name: string };

function readTag(inner: string): Tag {
  const match = /^(\/?)([A-Za-z][A-Za-z0-9.]*)\s*(\/?)$/.exec(inner);
  if (match === null || (match[1] === '/' && match[3] === '/')) throw malformed('a tag that XML-RPC does not have');
  const name = match[2] ?? '';
  if (match[1] === '/') return { kind: 'end', name };
  return { kind: match[3] === '/' ? 'empty' : 'start', name };
}

function top(open: readonly OpenElement[]): OpenElement {
  return open[open.length - 1] as OpenElement;
}

function finish(element: OpenElement): XmlElement {
  if (element.children.length === 0) return element;
  if (element.text.trim() !== '') throw malformed(`text between the elements of <${element.name}>`);
  return { ...element, text: '' };
}

/** XML reads every line end as \n; a real \r is written as a character reference. */
function unescapeText(raw: string): string {
  const lines = raw.includes('\r') ? raw.replace(/\r\n?/g, '\n') : raw;
  if (!lines.includes('&')) return lines;
  return lines.replace(/&([^;&]{0,10});?/g, (whole, name: string) => {
    if (!whole.endsWith(';')) throw malformed('an unfinished character reference');
    return NAMED[name] ?? characterOf(name);
  });
}

function characterOf(reference: string): string {
  const match = /^#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}))$/.exec(reference);
  const code = match === null ? -1 : match[1] === undefined ? Number(match[2]) : Number.parseInt(match[1], 16);
  if (code < 0 || code > 0x10ffff) throw malformed('an unknown character reference');
  return String.fromCodePoint(code);
}

function malformed(why: string): BunkhouseError {
  return new BunkhouseError('INVALID', `not an XML document that XML-RPC uses: ${why}`);
}
