import type { StateLocation } from '../../config/state-url.ts';
import { type Check, type Finding, fail, ok, warn } from './finding.ts';

type Server = Extract<StateLocation, { kind: 'valkey' }>;

const NAME = 'state';

/** The server that keeps the state: whether it answers us, and how durable it is. Null: it is kept in a file. */
export const checkState: Check = async (machine) => {
  const { stateUrl } = machine.config;
  if (stateUrl.kind === 'file') return null;
  const password = await passwordOf(stateUrl, (path) => machine.readText(path));
  if (password === null) {
    return fail(NAME, `${stateUrl.passwordFile} cannot be read`, 'See passwordFile in STATE_URL.');
  }
  const answer = await machine.exchange(stateUrl, commands(stateUrl, password));
  const place = `${stateUrl.host}:${stateUrl.port}`;
  if ('error' in answer) {
    return fail(NAME, `no server answers at ${place}: ${answer.error}`, 'Start it, or correct STATE_URL.');
  }
  return judge(place, answer.text);
};

// Private

/** Empty: none is needed. Null: it cannot be read. */
async function passwordOf(
  { password, passwordFile }: Server,
  read: (path: string) => Promise<string | null>,
): Promise<string | null> {
  if (passwordFile === null) return password ?? '';
  return (await read(passwordFile))?.trim() ?? null;
}

function commands({ username, db }: Server, password: string): string {
  const login = password === '' ? [] : [['AUTH', username ?? 'default', password]];
  const asked = [['SELECT', String(db)], ['CONFIG', 'GET', 'append*'], ['QUIT']];
  return [...login, ...asked].map(encode).join('');
}

function encode(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;
}

function judge(place: string, text: string): Finding {
  const refusal = /^-(NOAUTH|WRONGPASS|NOPERM|LOADING)[^\r]*/m.exec(text)?.[0];
  const setting = (name: string): string | undefined =>
    new RegExp(`\\r\\n${name}\\r\\n\\$\\d+\\r\\n(\\w+)`).exec(text)?.[1];
  const [appendonly, appendfsync] = [setting('appendonly'), setting('appendfsync')];
  if (refusal !== undefined && !refusal.startsWith('-NOPERM')) {
    return fail(NAME, `the server at ${place} refuses: ${refusal.slice(1)}`, 'Correct user and password in STATE_URL.');
  }
  if (appendonly === undefined || appendfsync === undefined) {
    return warn(NAME, `the server at ${place} does not tell how durable it is`, 'See that it has appendfsync always.');
  }
  if (appendonly === 'yes' && appendfsync === 'always') return ok(NAME, `the server at ${place} keeps every commit`);
  return warn(
    NAME,
    `the server at ${place} may lose the last commits (appendonly ${appendonly}, appendfsync ${appendfsync})`,
    'Set appendonly yes and appendfsync always.',
  );
}
