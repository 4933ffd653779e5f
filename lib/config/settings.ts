import { backupUrl } from './backup-url.ts';
import { pathBelow, publicGroups } from './compat.ts';
import {
  amount,
  boolean,
  caddyAdmin,
  cron,
  dockerHost,
  domain,
  email,
  host,
  httpUrl,
  type Kind,
  keep,
  name,
  networks,
  oneOf,
  optional,
  path,
  searchPath,
  size,
  whole,
} from './kinds.ts';
import { DRIVERS, locationList, locationTargets } from './locations.ts';
import { stateUrl } from './state-url.ts';

/** One setting: a row of the only table of settings. All else (parsing, docs, help, systemd) is made from it. */
export interface Setting<T> {
  readonly key: string;
  /** Other names of the same setting. */
  readonly aliases?: readonly string[];
  /** As text. `<STATE_HOME>` and `<DATA_DIR>` stand for folders, see config.ts. */
  readonly default: string;
  readonly kind: Kind<T>;
  readonly sentence: string;
  /** Its value may hold a password, so it is never shown. */
  readonly secret?: true;
}

export const SETTINGS = {
  dataDir: {
    key: 'DATA_DIR',
    aliases: ['BUNKHOUSE_DATA_DIR'],
    default: '<STATE_HOME>/bunkhouse',
    kind: path,
    sentence:
      'Folder of everything Bunkhouse keeps. STATE_HOME is `/var/lib` for root, otherwise `XDG_STATE_HOME` or `~/.local/state`.',
  },
  host: {
    key: 'HOST',
    aliases: ['BUNKHOUSE_HOST'],
    default: '127.0.0.1',
    kind: host,
    sentence: 'Address the API listens on. Put a proxy with TLS in front before you open it to others.',
  },
  port: {
    key: 'PORT',
    aliases: ['BUNKHOUSE_PORT'],
    default: '4000',
    kind: whole(1, 65535),
    sentence: 'Port the API listens on.',
  },
  baseDomain: {
    key: 'BASE_DOMAIN',
    default: '',
    kind: optional(domain, 'bots are reached by path only'),
    sentence:
      'Bots are also reached as `<id>.BASE_DOMAIN`, where the id is a host name (lower-case letters, digits, dashes). Have `*.BASE_DOMAIN` point here; the API should have a name outside of it.',
  },
  httpsPort: {
    key: 'HTTPS_PORT',
    default: '',
    kind: optional(
      whole(1, 65535),
      '443 with CADDY_ADMIN; otherwise no front with TLS, and addresses of bots begin with http',
    ),
    sentence: 'Port at which a front with TLS answers for `*.BASE_DOMAIN`.',
  },
  caddyAdmin: {
    key: 'CADDY_ADMIN',
    default: '',
    kind: optional(caddyAdmin, 'no Caddy'),
    sentence:
      "API of a Caddy on this machine that is the front for `*.BASE_DOMAIN`: it is given the bots' names and gets their certificates.",
  },
  acmeDirectory: {
    key: 'ACME_DIRECTORY',
    default: '',
    kind: optional(httpUrl, "as Caddy's own configuration says, by default Let's Encrypt"),
    sentence: 'Where Caddy gets the certificates of the bots.',
  },
  acmeEmail: {
    key: 'ACME_EMAIL',
    default: '',
    kind: optional(email, 'none'),
    sentence: 'Account at ACME_DIRECTORY.',
  },
  acmeCaFile: {
    key: 'ACME_CA_FILE',
    default: '',
    kind: optional(path, 'the public ones only'),
    sentence:
      'Certificates (PEM) of authorities trusted beside the public ones, for ACME_DIRECTORY and for the certificates of bots.',
  },
  trustedProxies: {
    key: 'TRUSTED_PROXIES',
    default: '127.0.0.0/8,::1',
    kind: networks,
    sentence:
      'Fronts whose X-Forwarded-For, -Proto and -Host are believed and passed on to bots; those of others are dropped.',
  },
  poolModeEnabled: {
    key: 'POOL_MODE_ENABLED',
    default: 'true',
    kind: boolean,
    sentence: 'Whether new bots share containers. If not, each gets one of its own (legacy mode).',
  },
  driver: {
    key: 'POOL_DRIVER',
    default: 'process',
    kind: oneOf(...DRIVERS),
    sentence:
      'What containers are, where LOCATIONS does not say: a local supervisord (`process`), Docker containers (`docker`), or make-believe for trying the API (`memory`).',
  },
  maxBotsPerContainer: {
    key: 'MAX_BOTS_PER_CONTAINER',
    default: '10',
    kind: whole(1, 100),
    sentence: 'Bots in one container, where the template does not say.',
  },
  poolBasePort: {
    key: 'POOL_BASE_PORT',
    default: '9000',
    kind: whole(1024, 65535),
    sentence:
      "First port of the bots; each container takes the next free range. Also decides the bots' uids, see UID_BASE.",
  },
  healthCheckIntervalMs: {
    key: 'HEALTH_CHECK_INTERVAL',
    default: '30000',
    kind: whole(100, 86_400_000),
    sentence: 'Milliseconds between two sweeps over everything. Changes are noticed at once, whatever it is.',
  },
  poolTargetSize: {
    key: 'POOL_TARGET_SIZE',
    aliases: ['POOL_SIZE', 'POOL_TARGET_INSTANCES'],
    default: '10',
    kind: whole(0, 10_000),
    sentence: 'Warm bots kept ready of each template that is handed out on lease and does not say.',
  },
  poolLocationTargets: {
    key: 'POOL_LOCATION_TARGETS',
    default: '',
    kind: locationTargets,
    sentence: 'The same for single locations, such as `weur=10,enam=0`. Each other location keeps POOL_TARGET_SIZE.',
  },
  poolMinSize: {
    key: 'POOL_MIN_SIZE',
    aliases: ['MIN_POOL_SIZE'],
    default: '3',
    kind: whole(0, 10_000),
    sentence: 'When fewer are left, the reserve is filled up again.',
  },
  poolMaxSize: {
    key: 'POOL_MAX_SIZE',
    default: '1000',
    kind: whole(1, 100_000),
    sentence: 'Most leasable bots of a template, those on lease included.',
  },
  poolBatchSize: {
    key: 'POOL_BATCH_SIZE',
    default: '10',
    kind: whole(1, 1000),
    sentence: 'Warm bots made at a time.',
  },
  poolBatchSpacingSeconds: {
    key: 'POOL_BATCH_SPACING_IN_SECONDS',
    default: '10',
    kind: amount(86_400),
    sentence: 'Seconds between two such batches.',
  },
  consolidateMovesPerHour: {
    key: 'CONSOLIDATE_MOVES_PER_HOUR',
    default: '0',
    kind: whole(0, 3600),
    sentence:
      'Bots moved in an hour, while all is well, to put half-empty containers of a pool together. 0 leaves them as they are.',
  },
  rateLimitHourly: {
    key: 'RATE_LIMIT_HOURLY',
    default: '',
    kind: optional(whole(1, 1_000_000), 'no limit'),
    sentence: 'Leases one owner may acquire in an hour.',
  },
  rateLimitDaily: {
    key: 'RATE_LIMIT_DAILY',
    default: '',
    kind: optional(whole(1, 1_000_000), 'no limit'),
    sentence: 'Leases one owner may acquire in a day.',
  },
  defaultTemplate: {
    key: 'DEFAULT_TEMPLATE',
    default: 'freqtrade',
    kind: name,
    sentence: 'Template of a bot whose request names none.',
  },
  templateDir: {
    key: 'TEMPLATE_DIR',
    default: '<DATA_DIR>/templates',
    kind: path,
    sentence: 'Folder of your own templates; one with the name of a built-in template takes its place.',
  },
  compatSiteTemplate: {
    key: 'COMPAT_SITE_TEMPLATE',
    aliases: ['COMPAT_WORDPRESS_TEMPLATE'],
    default: '',
    kind: optional(name, 'off'),
    sentence: 'Template of what `POST /create-site` hands out; switches that and `GET /pool-status` on.',
  },
  compatContainerTemplate: {
    key: 'COMPAT_CONTAINER_TEMPLATE',
    default: '',
    kind: optional(name, 'off'),
    sentence: 'Template of what `POST /container` hands out; switches that and `/container/:id/*` on.',
  },
  compatDemoTemplate: {
    key: 'COMPAT_DEMO_TEMPLATE',
    default: '',
    kind: optional(name, 'off'),
    sentence:
      'Template of what `POST /api/v1/demo/acquire` hands out; switches that, `/api/v1/demo/:id` and `GET /api/v1/pool/stats` on.',
  },
  compatDemoAdminPath: {
    key: 'COMPAT_DEMO_ADMIN_PATH',
    default: '',
    kind: pathBelow,
    sentence: 'Where a demo has its administration, for the `admin_url` of those replies.',
  },
  compatPublic: {
    key: 'COMPAT_PUBLIC',
    default: '',
    kind: publicGroups,
    sentence:
      'Which of these groups need no token, such as `demo=10,container=600`, and how many requests a minute one client address may make there.',
  },
  location: {
    key: 'LOCATION',
    default: '',
    kind: optional(name, 'the first of LOCATIONS, or `local`'),
    sentence: 'Location taken when a request names none.',
  },
  locations: {
    key: 'LOCATIONS',
    default: '',
    kind: locationList,
    sentence:
      'Where containers can be, such as `weur,enam=unix:///run/enam.sock` or `here=process,there=docker`. Well known are wnam, enam, sam, weur, eeur, apac, oc, afr and me; others are yours to name.',
  },
  instanceName: {
    key: 'INSTANCE_NAME',
    default: 'bunkhouse',
    kind: name,
    sentence: 'Beginning of the container names. Give each supervisor that shares a Docker engine its own.',
  },
  stateUrl: {
    key: 'STATE_URL',
    default: 'file:<DATA_DIR>/state/state.json',
    kind: stateUrl,
    sentence:
      'Where the state is kept: in a file, or in a Valkey or Redis server, with which a second supervisor can stand by.',
    secret: true,
  },
  adminTokenFile: {
    key: 'ADMIN_TOKEN_FILE',
    default: '<DATA_DIR>/state/admin-token',
    kind: path,
    sentence: "File of the administrator's token, made with a random one when it is not there.",
  },
  maxBodyBytes: {
    key: 'MAX_BODY_BYTES',
    default: '4194304',
    kind: whole(1024, 1_073_741_824),
    sentence: 'Largest body of a request to the API, in bytes.',
  },
  metricsPerBot: {
    key: 'METRICS_PER_BOT',
    default: 'true',
    kind: boolean,
    sentence: 'Whether `/metrics` has series of each bot (three a bot), beside those of the pools.',
  },
  stopOnExit: {
    key: 'STOP_ON_EXIT',
    default: 'false',
    kind: boolean,
    sentence:
      'Whether all bots are stopped, gracefully, when the supervisor ends. What their owners want is kept: the next start brings them back.',
  },
  logLevel: {
    key: 'LOG_LEVEL',
    default: 'info',
    kind: oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
    sentence: 'Least weight of what is logged.',
  },
  backupUrl: {
    key: 'BACKUP_URL',
    default: 'file:<DATA_DIR>/backups',
    kind: backupUrl,
    sentence:
      'Where backups of bots are kept: in a folder, or in a bucket of Amazon S3 or of a server that speaks like it.',
    secret: true,
  },
  backupSchedule: {
    key: 'BACKUP_SCHEDULE',
    default: '',
    kind: optional(cron, 'only backups that are asked for'),
    sentence: 'When a round of backups of all bots begins.',
  },
  backupSpreadMinutes: {
    key: 'BACKUP_SPREAD_IN_MINUTES',
    default: '60',
    kind: whole(0, 10_080),
    sentence: 'Minutes over which the backups of a round are spread.',
  },
  backupKeep: {
    key: 'BACKUP_KEEP',
    default: 'last=3,daily=7,weekly=4',
    kind: keep,
    sentence:
      'Good backups kept of each bot: the last ones, and the newest of so many days and weeks. The newest good one always stays.',
  },
  backupParallel: {
    key: 'BACKUP_PARALLEL',
    default: '2',
    kind: whole(1, 64),
    sentence: 'Backups made at the same time.',
  },
  archiveKeepDays: {
    key: 'ARCHIVE_KEEP_DAYS',
    default: '365',
    kind: optional(whole(1, 36_500), 'for ever'),
    sentence: 'Days for which the archive of a deleted bot, and the backups that were made of it, are kept.',
  },
  containerMemoryBytes: {
    key: 'CONTAINER_MEMORY',
    default: '',
    kind: optional(size, 'no limit'),
    sentence: 'Memory of a whole container (Docker driver).',
  },
  containerCpus: {
    key: 'CONTAINER_CPUS',
    default: '',
    kind: optional(amount(1024), 'no limit'),
    sentence: 'Processors of a whole container (Docker driver).',
  },
  containerPids: {
    key: 'CONTAINER_PIDS',
    default: '',
    kind: optional(whole(16, 4_194_304), 'no limit'),
    sentence: 'Processes and threads of a whole container (Docker driver).',
  },
  dockerHost: {
    key: 'DOCKER_HOST',
    default: 'unix:///var/run/docker.sock',
    kind: dockerHost,
    sentence: 'Docker engine of the Docker driver, where LOCATIONS does not name another.',
  },
  supervisord: {
    key: 'SUPERVISORD',
    default: '<DATA_DIR>/venv/bin/supervisord',
    kind: path,
    sentence: 'supervisord of the process driver.',
  },
  botPath: {
    key: 'BOT_PATH',
    default: '<DATA_DIR>/venv/bin:/usr/local/bin:/usr/bin:/bin',
    kind: searchPath,
    sentence: 'PATH of the bots (process driver).',
  },
  uidBase: {
    key: 'UID_BASE',
    default: '100000',
    kind: optional(whole(1000, 4_000_000_000), 'all bots run as the user of Bunkhouse'),
    sentence: "A bot's uid is this number plus its port (process driver as root; without root it does nothing).",
  },
} as const satisfies Record<string, Setting<unknown>>;

export type SettingName = keyof typeof SETTINGS;

/** Every setting, parsed. */
export type Config = {
  readonly [K in SettingName]: (typeof SETTINGS)[K]['kind'] extends Kind<infer T> ? T : never;
};

/** What the command line takes from the environment beside settings. */
export const CLI_VARIABLES = ['BUNKHOUSE_URL', 'BUNKHOUSE_TOKEN'];

/** The table in order, by rows. */
export const ROWS: readonly (readonly [SettingName, Setting<unknown>])[] = Object.entries(SETTINGS) as never;
