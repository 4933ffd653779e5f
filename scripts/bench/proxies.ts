import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from '../../test/support/child.ts';

/** Caddy and nginx as reverse proxies of one backend, as their manuals have it: HTTP/1.1, connections to it kept. */

/** nginx as the backend itself, a bot: one process that answers from memory and from a file. For a template's `files`. */
export const BACKEND_CONFIG = `daemon off; master_process off; pid nginx.pid; error_log stderr warn;
events { worker_connections 4096; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
  server {
    listen {{host}}:{{port}} backlog=4096;
    location = /small { default_type text/plain; return 200 "Bunkhouse measures its proxy with this.\\n"; }
    location / { root .; }
  }
}
`;

export function startNginx(folder: string, port: number, backend: number): Child {
  const home = join(folder, 'nginx');
  mkdirSync(home);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${home};`);
  writeFileSync(
    join(home, 'nginx.conf'),
    `daemon off; user root; pid ${home}/pid; error_log stderr warn; worker_processes auto;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000; ${temporary.join(' ')}
  upstream bot { server 127.0.0.1:${backend}; keepalive 64; keepalive_requests 1000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://bot; proxy_http_version 1.1; proxy_max_temp_file_size 0;
      proxy_set_header Connection ""; proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;
    }
  }
}
`,
  );
  const child = new Child('/usr/sbin/nginx', ['-p', home, '-c', join(home, 'nginx.conf'), '-e', 'stderr']);
  child.start();
  return child;
}

export function startCaddyProxy(folder: string, port: number, backend: number): Child {
  const home = join(folder, 'caddy');
  mkdirSync(home);
  const proxy = { handler: 'reverse_proxy', upstreams: [{ dial: `127.0.0.1:${backend}` }] };
  const server = { listen: [`127.0.0.1:${port}`], routes: [{ handle: [proxy] }], automatic_https: { disable: true } };
  const config = { admin: { disabled: true }, apps: { http: { servers: { front: server } } } };
  writeFileSync(join(home, 'caddy.json'), JSON.stringify(config));
  const env = { ...process.env, HOME: home, XDG_DATA_HOME: home, XDG_CONFIG_HOME: home };
  const child = new Child('caddy', ['run', '--config', join(home, 'caddy.json')], { env });
  child.start();
  return child;
}
