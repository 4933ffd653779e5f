import { request } from 'node:https';

export interface Visited {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
}

/** What a caller of that name gets at a port of loopback, its certificate checked against these authorities alone. */
export function visit(port: number, host: string, ca: string, path = '/'): Promise<Visited> {
  const options = {
    host: '127.0.0.1',
    port,
    servername: host,
    ca,
    path,
    headers: { host: `${host}:${port}` },
    agent: false,
  };
  return new Promise((resolve, reject) => {
    const req = request(options, (res) => {
      const text = res.setEncoding('utf8').reduce((all, chunk) => all + chunk, '');
      text.then((body) => resolve({ status: res.statusCode ?? 0, headers: res.headers, body }), reject);
    });
    req.on('error', reject).end();
  });
}
