import type { BotView, ContainerView, PoolStatus } from '../../lib/services/pool-api.ts';

export interface Reply {
  readonly status: number;
  /** Parsed when it is JSON, otherwise text. */
  readonly body: unknown;
}

export interface RequestOptions {
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly json?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The HTTP API as a caller has it. Methods that are not `request` throw on any answer that is not 2xx. */
export interface Client {
  readonly token: string;
  request(path: string, options?: RequestOptions): Promise<Reply>;
  get<T>(path: string): Promise<T>;
  post<T>(path: string, json?: unknown): Promise<T>;
  delete(path: string): Promise<void>;
  create(bot: { readonly instanceId: string }): Promise<BotView>;
  bot(id: string): Promise<BotView>;
  bots(): Promise<readonly BotView[]>;
  containers(): Promise<readonly ContainerView[]>;
}

const TIMEOUT_MS = 60_000;

export function createClient(url: string, token: string): Client {
  async function request(path: string, { method = 'GET', json, headers = {} }: RequestOptions = {}): Promise<Reply> {
    const response = await fetch(url + path, {
      method,
      headers: {
        Authorization: `Bearer ${token}`,
        ...(json === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...headers,
      },
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    });
    const text = await response.text();
    const isJson = /\bjson\b/.test(response.headers.get('Content-Type') ?? '');
    return { status: response.status, body: isJson ? JSON.parse(text) : text };
  }
  async function must<T>(path: string, options?: RequestOptions): Promise<T> {
    const { status, body } = await request(path, options);
    if (status > 299) throw new Error(`${options?.method ?? 'GET'} ${path} → ${status} ${JSON.stringify(body)}`);
    return body as T;
  }
  return {
    token,
    request,
    get: (path) => must(path),
    post: (path, json) => must(path, { method: 'POST', json }),
    delete: (path) => must(path, { method: 'DELETE' }),
    create: (bot) => must('/api/bots', { method: 'POST', json: bot }),
    bot: (id) => must(`/api/bots/${id}`),
    bots: async () => (await must<{ bots: BotView[] }>('/api/bots')).bots,
    containers: async () => (await must<PoolStatus>('/api/pool/status')).pools,
  };
}
