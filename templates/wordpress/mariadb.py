"""Makes a MariaDB with little memory and no port, then becomes its server. `mariadb.py DIRECTORY SOCKET`, as the service's user.

What no setting of the server bounds, keeper.php does beside it.

Broken off anywhere, it is made good by the next start.
"""

import glob
import os
import secrets
import shutil
import subprocess
import sys

INSTALL = "/usr/bin/mariadb-install-db"
SERVER = "/usr/sbin/mariadbd"
# From the beginning on: later the server may leave it at none, and say nothing.
UNDO = "innodb-undo-tablespaces=2"
SETTINGS = (
    "skip-networking",
    "skip-name-resolve",
    "character-set-server=utf8mb4",
    # An answered change survives a power cut.
    "innodb-flush-log-at-trx-commit=1",
    "skip-log-bin",
    # A site has 12 small tables: what is kept in memory serves tens of sites.
    "performance-schema=OFF",
    "innodb-buffer-pool-size=32M",
    "innodb-log-file-size=32M",
    "innodb-log-buffer-size=2M",
    "key-buffer-size=1M",
    "aria-pagecache-buffer-size=8M",
    "query-cache-type=OFF",
    "query-cache-size=0",
    "table-open-cache=200",
    "table-open-cache-instances=1",
    "max-connections=500",
    "thread-cache-size=4",
    # No site fills the memory of all with a table: whatever engine it names, it gets this one.
    "enforce-storage-engine=InnoDB",
    "sql-mode=STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_CREATE_USER",
    # Nor with statements, as far as the server counts what they take: variables of a session it does not, and the keeper sees to them.
    "max-session-mem-used=64M",
    "maximum-max-session-mem-used=64M",
    "max-allowed-packet=16M",
    "maximum-max-allowed-packet=16M",
    "max-prepared-stmt-count=1048576",
    "skip-partition",
    "max-heap-table-size=16M",
    "maximum-max-heap-table-size=16M",
    "maximum-tmp-memory-table-size=16M",
    "maximum-sort-buffer-size=2M",
    "maximum-join-buffer-size=2M",
    # Nor the disk with tables that nobody sees.
    "tmp-disk-table-size=256M",
    "maximum-tmp-disk-table-size=256M",
    "innodb-temp-data-file-path=ibtmp1:12M:autoextend:max:512M",
    # What transactions may have to take back is in files that become small again.
    UNDO,
    "innodb-undo-log-truncate=ON",
    # Nothing reads files by SQL, puts tables elsewhere (a site could do it, and into its own directory), or runs at a time of day.
    "local-infile=OFF",
    "skip-symbolic-links",
    "event-scheduler=OFF",
    # What a site leaves open holds nobody up for long.
    "connect-timeout=3",
    "wait-timeout=600",
    "lock-wait-timeout=60",
    # Sites would fill the log with connections that they break off.
    "log-warnings=1",
)
# What sessions give back goes back to the system, and is not kept in pieces for the next: jemalloc does that, Debian's libjemalloc2.
JEMALLOC = "/usr/lib/*/libjemalloc.so.2"
JEMALLOC_SETTINGS = "narenas:4,dirty_decay_ms:1000,muzzy_decay_ms:0,background_thread:true"
# Started again when it has ended, as long as the server lives.
KEEPING = 'while kill -0 "$2" 2>/dev/null; do php "$0" "$1" "$2"; sleep 1; done'


def main(directory, socket):
    data, init = os.path.join(directory, "data"), os.path.join(directory, "init.sql")
    if not os.path.isdir(data):
        make(directory, data)
    write(init, first_statements(admin_password(directory, socket)))
    temporary = os.path.join(directory, "tmp")
    os.makedirs(temporary, mode=0o700, exist_ok=True)
    places = (f"datadir={data}", f"socket={socket}", f"pid-file={directory}/mariadbd.pid", f"tmpdir={temporary}", f"init-file={init}")
    start_keeper(directory)
    os.execve(SERVER, [SERVER, "--no-defaults", *(f"--{setting}" for setting in (*places, *SETTINGS))], {**os.environ, **allocator()})


def allocator():
    found = glob.glob(JEMALLOC)
    return {"LD_PRELOAD": found[0], "MALLOC_CONF": JEMALLOC_SETTINGS} if found else {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": "131072"}


def start_keeper(directory):
    """Beside the server-to-be, for as long as that lives."""
    server = os.getpid()
    if os.fork() == 0:
        os.execvp("sh", ["sh", "-c", KEEPING, os.path.join(directory, "keeper.php"), directory, str(server)])


def make(directory, data):
    """The system tables; in place only when all of them are there."""
    unfinished = data + ".new"
    shutil.rmtree(unfinished, ignore_errors=True)
    os.mkdir(unfinished, 0o700)
    options = ("--skip-test-db", "--skip-name-resolve", "--auth-root-authentication-method=normal")
    subprocess.run([INSTALL, "--no-defaults", f"--datadir={unfinished}", f"--{UNDO}", *options], cwd=directory, check=True, stdout=subprocess.DEVNULL)
    os.sync()
    os.rename(unfinished, data)


def admin_password(directory, socket):
    """Of the administrator, in a file of options for the clients that make room for sites. Random, made once."""
    file = os.path.join(directory, "admin.cnf")
    try:
        with open(file, encoding="utf-8") as options:
            return next(line for line in options if line.startswith("password=")).removeprefix("password=").strip()
    except (FileNotFoundError, StopIteration):
        password = secrets.token_hex(32)
        write(file, f"[client]\nuser=root\nsocket={socket}\npassword={password}\n")
        return password


def first_statements(password):
    """Done before the server takes connections: root is known by its password alone, and nobody else is there by default."""
    return (
        f"ALTER USER 'root'@'localhost' IDENTIFIED VIA mysql_native_password USING PASSWORD('{password}');\n"
        "DELETE FROM mysql.global_priv WHERE User = '' OR (User = 'root' AND Host <> 'localhost');\n"
        "FLUSH PRIVILEGES;\n"
    )


def write(file, text):
    """Whole or not at all, for its user alone."""
    with open(os.open(f"{file}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as new:
        new.write(text)
    os.rename(f"{file}.new", file)


if __name__ == "__main__":
    main(*sys.argv[1:])
