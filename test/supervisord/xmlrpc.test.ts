import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasCode } from '../../lib/domain/errors.ts';
import { asciiJson } from '../../lib/supervisord/client.ts';
import {
  decodeCall,
  decodeResponse,
  encodeCall,
  encodeResponse,
  type XmlRpcValue,
} from '../../lib/supervisord/xmlrpc.ts';

/** All text that XML 1.0 can carry: no control characters but tab, line feed and carriage return. */
const xmlText = fc
  .string({ unit: 'binary' })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are exactly the characters to leave out
  .map((text) => text.replace(/[\0-\x08\x0b\x0c\x0e-\x1f\uFFFE\uFFFF]/g, ''));

const { value } = fc.letrec<{ value: XmlRpcValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    xmlText,
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(xmlText, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

const invalid = (work: () => unknown): boolean => {
  try {
    work();
    return false;
  } catch (error) {
    return hasCode(error, 'INVALID');
  }
};

describe('XML-RPC', () => {
  it('decodes every response to the value that was encoded', () => {
    fc.assert(
      fc.property(value, (sent) => {
        expect(decodeResponse(encodeResponse({ kind: 'value', value: sent }))).toEqual({ kind: 'value', value: sent });
      }),
    );
  });

  it('decodes every call to the method and parameters that were encoded', () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 3 }), (params) => {
        expect(decodeCall(encodeCall('a.b', params))).toEqual({ method: 'a.b', params });
      }),
    );
  });

  it('decodes faults', () => {
    const fault = { kind: 'fault', code: 1003, message: 'slot <3> is "taken" & warm\r\n' } as const;
    expect(decodeResponse(encodeResponse(fault))).toEqual(fault);
  });

  it('reads what supervisord writes: line breaks between elements, i4, a bare value, references', () => {
    const text =
      "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value><array><data>\n<value><i4>-7</i4></value>\n" +
      '<value>bare &amp; &#x263A;&#10;</value>\n<value><double>1e-05</double></value><value><string></string></value>\n' +
      '</data></array></value>\n</param>\n</params>\n</methodResponse>\n';
    expect(decodeResponse(text)).toEqual({
      kind: 'value',
      value: [-7, 'bare & ☺\n', 1e-5, ''],
    });
  });

  it('refuses to send what XML cannot carry, instead of sending what the other side cannot read', () => {
    for (const text of ['\0', '\x1b[0m', '\ud800', '\udc00x', '\uffff', '\ufffe']) {
      expect(invalid(() => encodeCall('a.b', [text]))).toBe(true);
    }
    expect(invalid(() => encodeCall('a.b', [Number.NaN]))).toBe(true);
    expect(invalid(() => encodeCall('a.b', [Number.POSITIVE_INFINITY]))).toBe(true);
  });

  it('sends any JSON, because its text is printable ASCII', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: fc.nat(0xffff).map((unit) => String.fromCharCode(unit)) })), (sent) => {
        const [text] = decodeCall(encodeCall('a.b', [asciiJson(sent)])).params;
        expect(text).toMatch(/^[\x20-\x7e]*$/);
        expect(JSON.parse(String(text))).toEqual(sent);
      }),
    );
  });

  it('never mistakes a cut-off answer for a whole one', () => {
    const text = encodeResponse({ kind: 'value', value: { a: [1, 'two'], b: null } }).trim();
    for (let length = 0; length < text.length; length++)
      expect(invalid(() => decodeResponse(text.slice(0, length)))).toBe(true);
  });

  it.each([
    ['a doctype', '<!DOCTYPE a [<!ENTITY b "c">]><methodResponse/>'],
    ['a comment', '<methodResponse><!-- --></methodResponse>'],
    ['attributes', '<methodResponse a="b"></methodResponse>'],
    ['a page of HTML', '<html><body>Error response</body></html>'],
    ['two documents', '<a/><b/>'],
    ['text beside elements', '<methodResponse>x<params/></methodResponse>'],
    ['an unknown entity', wrapped('<string>&b;</string>')],
    ['a bare ampersand', wrapped('<string>a & b</string>')],
    ['an unknown type', wrapped('<date>1</date>')],
    ['two types in one value', wrapped('<int>1</int><int>2</int>')],
    ['a boolean of 2', wrapped('<boolean>2</boolean>')],
    ['an int of letters', wrapped('<int>abc</int>')],
    ['a member without value', wrapped('<struct><member><name>a</name></member></struct>')],
    ['nesting without end', wrapped('<array><data><value>'.repeat(1000))],
    ['a fault without code', '<methodResponse><fault><value><struct/></value></fault></methodResponse>'],
    ['nothing', ''],
  ])('refuses %s', (_, text) => {
    expect(invalid(() => decodeResponse(text))).toBe(true);
  });
});

function wrapped(inner: string): string {
  return `<methodResponse><params><param><value>${inner}</value></param></params></methodResponse>`;
}
