import { z } from 'zod';

/** `a=1,b` as a map, each name once; the two functions make nothing of what is not allowed. */
export function pairs<K extends string, V>(
  readName: (text: string) => K | undefined,
  readValue: (text: string | null) => V | undefined,
): z.ZodType<ReadonlyMap<K, V>, string> {
  return z.string().transform((text, context) => {
    const found = new Map<K, V>();
    for (const part of text.split(',').filter((piece) => piece.trim() !== '')) {
      const [, before = '', after = null] = /^([^=]*)(?:=(.*))?$/.exec(part.trim()) ?? [];
      const name = readName(before);
      const value = readValue(after);
      if (name !== undefined && value !== undefined && !found.has(name)) found.set(name, value);
      else context.addIssue({ code: 'custom', message: part });
    }
    return found;
  });
}
