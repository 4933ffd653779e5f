import { describe, expect, it } from 'vitest';
import { parseTemplate } from '../../lib/config/template.ts';
import { messageOf } from '../../lib/domain/errors.ts';

const DATABASE = `
  mariadb:
    command: [bunkhouse-mariadb, "--datadir={{service.dir}}", "--socket={{service.run}}/mysqld.sock"]
    env: { MYSQL_HOME: "{{ service.dir }}" }
    files: [{ path: .my.cnf, text: "[client]\\nsocket={{service.run}}/mysqld.sock\\n" }]
    readiness: { kind: socket, path: "{{service.run}}/mysqld.sock", startupSeconds: 90 }
    stop: { graceSeconds: 60 }
    limits: { pss: 512MiB }
    provision:
      - { command: [mariadb], stdin: "CREATE DATABASE \`{{id}}\` -- {{secret.db}}", timeoutSeconds: 30 }
    deprovision: [{ command: [mariadb], stdin: "DROP DATABASE IF EXISTS \`{{id}}\`" }]
    archive: [{ command: [dump, "--socket={{service.run}}/mysqld.sock", "--result-file=db.sql"] }]
`;
const template = (services: string, rest = ''): string =>
  `name: site\ncommand: [php]\nsecrets: { db: {} }\n${rest}services:${services}`;

const problemOf = (yaml: string): string => {
  try {
    parseTemplate(yaml, 'x.yaml');
  } catch (error) {
    return messageOf(error);
  }
  return 'accepted';
};

describe('services of a template', () => {
  it('take what they do not say from the same defaults as bots', () => {
    const { services } = parseTemplate(template('\n  cache: { command: [squid] }\n'), 'x.yaml');
    expect(services).toEqual({
      cache: {
        command: ['squid'],
        env: {},
        files: [],
        readiness: { kind: 'process', startupSeconds: 60, watchdogSeconds: null },
        stop: { signal: 'SIGTERM', graceSeconds: 10 },
        backoff: { minSeconds: 1, maxSeconds: 60, healthySeconds: 60 },
        limits: expect.objectContaining({ pssBytes: null, cpuWeight: 100 }),
        provision: [],
        deprovision: [],
        archive: [],
      },
    });
  });

  it('take everything there is, with places of their own and, in their steps, what is known of a bot', () => {
    const { mariadb } = parseTemplate(template(DATABASE), 'x.yaml').services;
    expect(mariadb).toMatchObject({
      readiness: { kind: 'socket', path: '{{service.run}}/mysqld.sock', startupSeconds: 90 },
      stop: { signal: 'SIGTERM', graceSeconds: 60 },
      limits: { pssBytes: 512 << 20 },
      provision: [{ kind: 'exec', command: ['mariadb'], timeoutSeconds: 30 }],
      deprovision: [{ kind: 'exec', timeoutSeconds: 60 }],
      archive: [{ kind: 'exec', stdin: '' }],
    });
  });

  it('are reached from the bot by {{service.NAME.run}}', () => {
    const rest = 'env: { SOCKET: "{{service.mariadb.run}}/mysqld.sock" }\n';
    expect(problemOf(template(DATABASE, rest))).toBe('accepted');
  });

  it('change the version of the template', () => {
    const version = (yaml: string): string => parseTemplate(yaml, 'x.yaml').version;
    expect(version(template(DATABASE))).not.toBe(version(template(DATABASE.replace('90', '91'))));
  });

  it.each([
    ['a name with capitals', '\n  DB: { command: [a] }\n', 'must be 1 to 31 lower-case letters'],
    ['no command', '\n  db: { command: [] }\n', 'must hold at least the program'],
    ['an unknown key', '\n  db: { command: [a], user: root }\n', 'services.db.user is no key'],
    [
      'a readiness of bots',
      '\n  db: { command: [a], readiness: { kind: listen } }\n',
      'must be notify, process or socket',
    ],
    ['a socket without a path', '\n  db: { command: [a], readiness: { kind: socket } }\n', 'readiness.path is missing'],
    [
      'a socket elsewhere',
      '\n  db: { command: [a], readiness: { kind: socket, path: /run/docker.sock } }\n',
      'must begin with {{service.run}}/ or {{service.dir}}/',
    ],
    ['a bot in the service itself', '\n  db: { command: ["{{id}}"] }\n', 'but a service by itself is of no bot'],
    ['a secret in the service itself', '\n  db: { command: [a], env: { P: "{{secret.db}}" } }\n', 'is of no bot'],
    [
      'a secret that is not declared',
      '\n  db: { command: [a], provision: [{ command: [a], stdin: "{{secret.x}}" }] }\n',
      'there is no secret x',
    ],
    [
      'a step that is none',
      '\n  db: { command: [a], provision: [{ kind: clear, keep: [] }] }\n',
      'services.db.provision[0]',
    ],
  ])('are refused with %s', (_, services, says) => {
    expect(problemOf(template(services))).toContain(says);
  });

  it.each([
    ['a service that is not declared', 'env: { A: "{{service.db.run}}" }\n', 'there is no service db; declare it'],
    ['a place of its own', 'env: { A: "{{service.dir}}" }\n', 'which is known only in a service'],
    ['a service in a check', 'checks: [{ kind: http, path: "/{{service.mariadb.run}}" }]\n', 'are not filled in there'],
  ])('are not found by a bot with %s', (_, rest, says) => {
    expect(problemOf(template(DATABASE, rest))).toContain(says);
  });

  it('are not more than eight', () => {
    const many = Array.from({ length: 9 }, (_, index) => `  s${index}: { command: [a] }\n`).join('');
    expect(problemOf(template(`\n${many}`))).toContain('must hold at most 8 services');
  });
});
