import { BunkhouseError } from '../domain/errors.ts';
import { parseXml, type XmlElement } from './xml.ts';

/** The values of XML-RPC that supervisord uses. Integers are 32 bits; other finite numbers travel as doubles. */
export type XmlRpcValue =
  | string
  | number
  | boolean
  | null
  | readonly XmlRpcValue[]
  | { readonly [name: string]: XmlRpcValue };

export type XmlRpcResponse =
  | { readonly kind: 'value'; readonly value: XmlRpcValue }
  | { readonly kind: 'fault'; readonly code: number; readonly message: string };

/** A request document. Throws INVALID for text that XML cannot carry and for numbers that are not finite. */
export function encodeCall(method: string, params: readonly XmlRpcValue[]): string {
  const encoded = params.map((param) => `<param>${encodeValue(param)}</param>`).join('');
  return `<?xml version="1.0"?><methodCall><methodName>${escapeText(method)}</methodName><params>${encoded}</params></methodCall>`;
}

/** A response document, as supervisord writes it. */
export function encodeResponse(response: XmlRpcResponse): string {
  const body =
    response.kind === 'value'
      ? `<params><param>${encodeValue(response.value)}</param></params>`
      : `<fault>${encodeValue({ faultCode: response.code, faultString: response.message })}</fault>`;
  return `<?xml version='1.0'?>\n<methodResponse>\n${body}\n</methodResponse>\n`;
}

/** Reads a response document; throws INVALID when it is anything else. */
export function decodeResponse(text: string): XmlRpcResponse {
  const root = parseXml(text);
  if (root.name !== 'methodResponse') throw malformed(`<methodResponse> expected, <${root.name}> found`);
  const body = onlyChild(root);
  if (body.name === 'fault') return decodeFault(onlyChild(body));
  if (body.name !== 'params') throw malformed(`<params> or <fault> expected, <${body.name}> found`);
  const param = onlyChild(body);
  if (param.name !== 'param') throw malformed(`<param> expected, <${param.name}> found`);
  return { kind: 'value', value: decodeValue(onlyChild(param)) };
}

/** Reads a request document; throws INVALID when it is anything else. */
export function decodeCall(text: string): { readonly method: string; readonly params: readonly XmlRpcValue[] } {
  const root = parseXml(text);
  const [method, params] = root.children;
  if (root.name !== 'methodCall' || method?.name !== 'methodName') throw malformed('<methodCall> expected');
  return { method: method.text, params: (params?.children ?? []).map((param) => decodeValue(onlyChild(param))) };
}

function encodeValue(value: XmlRpcValue): string {
  return `<value>${encodeInner(value)}</value>`;
}

function encodeInner(value: XmlRpcValue): string {
  if (value === null) return '<nil/>';
  if (typeof value === 'string') return `<string>${escapeText(value)}</string>`;
  if (typeof value === 'boolean') return `<boolean>${value ? 1 : 0}</boolean>`;
  if (typeof value === 'number') return encodeNumber(value);
  if (isList(value)) return `<array><data>${value.map(encodeValue).join('')}</data></array>`;
  const members = Object.entries(value).map(
    ([name, member]) => `<member><name>${escapeText(name)}</name>${encodeValue(member)}</member>`,
  );
  return `<struct>${members.join('')}</struct>`;
}

/** `Array.isArray` does not narrow a readonly array. */
function isList(value: XmlRpcValue): value is readonly XmlRpcValue[] {
  return Array.isArray(value);
}

function encodeNumber(value: number): string {
  if (!Number.isFinite(value)) throw new BunkhouseError('INVALID', `XML-RPC cannot carry the number ${value}`);
  const isInt = Number.isInteger(value) && Math.abs(value) < 2 ** 31 && !Object.is(value, -0);
  return isInt ? `<int>${value}</int>` : `<double>${Object.is(value, -0) ? '-0.0' : value}</double>`;
}

// What XML 1.0 forbids even as a character reference: most control characters, lone surrogates, U+FFFE and U+FFFF.
const FORBIDDEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are exactly the characters to find
  /[\0-\x08\x0b\x0c\x0e-\x1f\uFFFE\uFFFF]|[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/;
const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '\r': '&#13;' };

function escapeText(text: string): string {
  if (FORBIDDEN.test(text)) {
    throw new BunkhouseError('INVALID', 'the text holds a character that XML cannot carry: send it as ASCII JSON');
  }
  return text.replace(/[&<>\r]/g, (character) => ENTITIES[character] ?? character);
}

function decodeFault(element: XmlElement): XmlRpcResponse {
  const value = decodeValue(element);
  if (typeof value === 'object' && value !== null && 'faultCode' in value && 'faultString' in value) {
    const { faultCode, faultString } = value;
    if (typeof faultCode === 'number' && typeof faultString === 'string') {
      return { kind: 'fault', code: faultCode, message: faultString };
    }
  }
  throw malformed('a fault without faultCode and faultString');
}

/** XML-RPC lets a bare `<value>text</value>` stand for a string. */
function decodeValue(element: XmlElement): XmlRpcValue {
  if (element.name !== 'value') throw malformed(`<value> expected, <${element.name}> found`);
  if (element.children.length === 0) return element.text;
  return decodeTyped(onlyChild(element));
}

function decodeTyped(element: XmlElement): XmlRpcValue {
  switch (element.name) {
    case 'string':
      return element.text;
    case 'int':
    case 'i4':
      return decodeNumber(element.text, /^[+-]?\d+$/);
    case 'double':
      return decodeNumber(element.text, /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i);
    case 'boolean':
      if (element.text !== '0' && element.text !== '1') throw malformed('a boolean that is neither 0 nor 1');
      return element.text === '1';
    case 'nil':
      return null;
    case 'array':
      return onlyChild(element).children.map(decodeValue);
    case 'struct':
      return Object.fromEntries(element.children.map(decodeMember));
    default:
      throw malformed(`unknown type <${element.name}>`);
  }
}

function decodeMember(element: XmlElement): [string, XmlRpcValue] {
  const [name, value] = element.children;
  if (element.name !== 'member' || name?.name !== 'name' || value === undefined || element.children.length !== 2) {
    throw malformed('a struct member without name and value');
  }
  return [name.text, decodeValue(value)];
}

function decodeNumber(text: string, pattern: RegExp): number {
  if (!pattern.test(text)) throw malformed('a number that is none');
  return Number(text);
}

function onlyChild(element: XmlElement): XmlElement {
  const [child] = element.children;
  if (child === undefined || element.children.length !== 1) {
    throw malformed(`<${element.name}> holds ${element.children.length} elements instead of one`);
  }
  return child;
}

function malformed(why: string): BunkhouseError {
  return new BunkhouseError('INVALID', `not an XML-RPC document: ${why}`);
}
