/** Where things are on the machine the unit is for. */
export interface UnitPlaces {
  /** `system`: run by root for all. `user`: by a user's own systemd, without any privilege. */
  readonly scope: 'system' | 'user';
  /** Absolute path of Node. */
  readonly node: string;
  /** Absolute path of the checkout or installed package. */
  readonly root: string;
  /** Absolute path of the file with the settings. */
  readonly envFile: string;
}

/** The systemd unit of the supervisor. */
export function renderUnit(places: UnitPlaces): string {
  const { scope, node, root, envFile } = places;
  const system = scope === 'system';
  return `# Made by \`npm run generate\`; scripts/install-systemd writes it with this machine's paths.
[Unit]
Description=Bunkhouse, supervisor of pooled bots
${system ? 'Wants=network-online.target\nAfter=network-online.target docker.service\n' : ''}# However often it fails, it is tried again: the bots live on meanwhile, but nobody looks after them.
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart=${quote(node)} ${quoteArgument(`${root}/lib/main.ts`)}
WorkingDirectory=${root.replaceAll('%', '%%')}
EnvironmentFile=-${envFile.replaceAll('%', '%%')}
Environment=NODE_ENV=production
Restart=always
RestartSec=2

# The supervisor says READY=1, and WATCHDOG=1 while both its event loop and its reconcile loop are alive, through
# systemd-notify. ${system ? NOTIFY_SYSTEM : NOTIFY_USER}
WatchdogSec=60
TimeoutStartSec=300
TimeoutStopSec=90

# Bots of the process driver are in this unit's control group and must outlive a restart of the supervisor. The default
# (control-group) would end them all on each stop, restart, crash and missed watchdog. With "process" only the main
# process is signalled; the next one finds the others still in the group ("left-over process", systemd says) and adopts them.
# So "systemctl stop" leaves bots running, too. When the machine shuts down, systemd ends them with all else.
KillMode=process
# The default (stop) would end the supervisor when the kernel kills one bot that took too much memory.
OOMPolicy=continue
# The group below this unit belongs to the supervisor and its containers; systemd keeps its hands off. With cgroups of
# version 2 the supervisor has to be in a leaf of its own, or bots get none: systemd 254 and later. Earlier ones pass over it.
Delegate=yes
DelegateSubgroup=supervisor
LimitNOFILE=65536
LimitCORE=0

# No PrivateTmp, PrivateDevices or the like: each start would get new mounts, and bots that lived on would have lost theirs.
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
SystemCallArchitectures=native
${system ? HARDENING_OF_ROOT : ''}
[Install]
WantedBy=${system ? 'multi-user.target' : 'default.target'}
`;
}

// Private

const NOTIFY_SYSTEM = `As root that speaks in the name of the main process, so nobody else, and no bot, is listened to.
NotifyAccess=main`;
const NOTIFY_USER = `Without root it can only speak in its own name, so all processes of the unit are listened to.
NotifyAccess=all`;

/** A user's systemd may not do these. */
const HARDENING_OF_ROOT = `ProtectSystem=full
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
RestrictSUIDSGID=yes
StateDirectory=bunkhouse
`;

/** A word of ExecStart, in which `%` means something to systemd. */
function quote(word: string): string {
  const escaped = word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%');
  return /[\s"'\\;]/.test(word) ? `"${escaped}"` : escaped;
}

/** Unlike the program itself, its arguments may hold variables. */
function quoteArgument(word: string): string {
  return quote(word).replaceAll('$', '$$$$');
}
