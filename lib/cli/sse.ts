/** One Server-Sent Event; `data` as text. */
export interface ServerEvent {
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

/** Events of a stream, by the rules of the HTML standard as far as this API uses them. Ends with the stream. */
export async function* serverEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    const blocks = (rest + decoder.decode(chunk, { stream: true })).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const event = parseBlock(block);
      if (event !== null) yield event;
    }
  }
}

/** Null for a block without data: a comment or a heartbeat. */
function parseBlock(block: string): ServerEvent | null {
  const fields = { id: '', event: 'message' };
  const data: string[] = [];
  for (const line of block.split('\n')) {
    const [, name, value = ''] = /^([^:]+):? ?(.*)$/.exec(line) ?? [];
    if (name === 'data') data.push(value);
    if (name === 'id' || name === 'event') fields[name] = value;
  }
  return data.length === 0 ? null : { ...fields, data: data.join('\n') };
}
