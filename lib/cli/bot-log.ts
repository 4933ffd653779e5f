import type { Client } from './client.ts';
import { botPath } from './wait.ts';

/** A piece of a bot's output; `offset` is where the next one begins. */
export interface Piece {
  readonly file: string;
  readonly offset: number;
  readonly data: string;
}

const DEADLINE_MS = 60_000;

/** Everything in the bot's present log file, up to now. What was rotated away is not in it. */
export async function wholeLog(client: Client, id: string): Promise<string> {
  const { file, offset: end } = (await tailOf(client, id, 0)).json;
  if (end === 0) return '';
  const from = { lastEventId: `${file}:0`, signal: AbortSignal.timeout(DEADLINE_MS) };
  let text = '';
  for await (const event of client.stream(botPath(id, '/logs?follow=true'), from)) {
    const piece = JSON.parse(event.data) as Piece;
    text += piece.data;
    if (piece.offset >= end || piece.file !== file) break;
  }
  return text;
}

/** The last lines, and where the log ends. */
export const tailOf = (client: Client, id: string, lines: number | string) =>
  client.call<Piece>('GET', botPath(id, '/logs'), { query: { tail: String(lines) } });
