<?php
/**
 * Beside the server of all sites: none of them takes its memory, its disk or its time from the others.
 * `keeper.php DIRECTORY SERVER`, as the service's user; ends with the server.
 *
 * What a statement takes is bounded by the server's settings where it has one (see mariadb.py). It has none for variables of
 * a session, for files that sorting needs, and for the size of a database.
 */
[, $directory, $server] = $argv;
const MIB = 1 << 20;
const TICK_MICROSECONDS = 100_000;

/** Of the server, well below the limit at which it is restarted for all: a site fills some hundred MiB in a second. */
const MOST_MEMORY = 560 * MIB;
/** From then on tables that nobody uses are closed: a thousand columns of each take memory too. */
const MUCH_MEMORY = 360 * MIB;
const CLOSING_PAUSE_SECONDS = 10;
/** Of all files for sorting and the like, and of what is kept for transactions that may be taken back. */
const MOST_TEMPORARY = 1024 * MIB;
const MOST_UNDO = 256 * MIB;
/** What a site is taken for the reason of. */
const LEAST_SHARE = 48 * MIB;
/** How long a site that took so much is told that it has no database. */
const CLOSED_SECONDS = 30;
const LONGEST_SECONDS = 300;
/** While there is too much to take back. */
const LONGEST_TRANSACTION_SECONDS = 3;
/** A site that had too much is given its rights back below this part of it. */
const ROOM_AGAIN = 0.9;
const WRITING = 'INSERT, UPDATE, CREATE, ALTER, INDEX, CREATE VIEW';

mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
$keeper = new Keeper($directory, (int) $server, (int) getenv('SITE_DATABASE_MIB') * MIB);
for ($tick = 0; posix_kill((int) $server, 0); $tick++) {
    $keeper->look($tick % 10 === 0);
    usleep(TICK_MICROSECONDS);
}

final class Keeper
{
    private ?mysqli $database = null;
    private readonly Threads $threads;
    /** When sites are let in again. */
    private array $closed = [];
    private int $tables_again = 0;

    public function __construct(private readonly string $directory, private readonly int $server, private readonly int $quota)
    {
        $this->threads = new Threads($server);
    }

    /** Memory each time, because it goes fast; all else at times. */
    public function look(bool $thoroughly): void
    {
        try {
            $this->database ??= $this->connect();
            $memory = memory_of($this->server);
            if ($memory > MUCH_MEMORY && hrtime(true) > $this->tables_again) {
                $this->tables_again = in_seconds(CLOSING_PAUSE_SECONDS);
                $this->try('FLUSH LOCAL TABLES');
            }
            if ($memory > MOST_MEMORY) {
                $this->close_the_heaviest('faulted', 'memory');
            }
            if ($thoroughly) {
                $this->threads->follow($this->sessions());
                $this->open_again();
                $this->limit_time();
                $this->limit_databases();
                if (temporary_files_of($this->server, "$this->directory/tmp/") > MOST_TEMPORARY) {
                    $this->close_the_heaviest('written', 'temporary files');
                }
            }
        } catch (Throwable $error) {
            // The server is not up yet, or not any more; or a site has gone meanwhile. Whatever it is, the next look begins anew.
            if ($this->database !== null) {
                error_log("keeper: {$error->getMessage()}");
            }
            $this->database = null;
        }
    }

    private function connect(): mysqli
    {
        $database = mysqli_init();
        ['user' => $user, 'password' => $password, 'socket' => $socket] = parse_ini_file("$this->directory/admin.cnf");
        @$database->real_connect('localhost', $user, $password, null, 0, $socket);
        // Nothing of the sites holds it up for long.
        $database->query('SET lock_wait_timeout = 1, innodb_lock_wait_timeout = 1');
        // Closed by one that was here before.
        foreach ($database->query("SELECT user FROM mysql.user WHERE user LIKE 'wp-%'")->fetch_all() as [$site]) {
            $this->closed[$site] ??= 0;
        }
        return $database;
    }

    /** id, user, tid of each. */
    private function sessions(): array
    {
        return $this->database->query("SELECT id, user, tid FROM information_schema.processlist WHERE user LIKE 'wp-%'")->fetch_all(MYSQLI_ASSOC);
    }

    /** What a session has is not told by the server, but by the system how much its thread has touched and written. */
    private function close_the_heaviest(string $measure, string $what): void
    {
        $this->threads->follow($this->sessions());
        $shares = $this->threads->shares($measure);
        arsort($shares);
        $site = array_key_first($shares);
        if ($site === null || $shares[$site] < LEAST_SHARE) {
            return;
        }
        error_log(sprintf('keeper: %s took about %d MiB of %s: it is closed for %d s', $site, $shares[$site] / MIB, $what, CLOSED_SECONDS));
        $this->closed[$site] = in_seconds(CLOSED_SECONDS);
        $this->database->query("ALTER USER {$this->account($site)} ACCOUNT LOCK");
        $this->database->query("KILL USER {$this->account($site)}");
    }

    private function open_again(): void
    {
        foreach (array_filter($this->closed, fn(int $until): bool => $until <= hrtime(true)) as $site => $_) {
            unset($this->closed[$site]);
            $this->database->query("ALTER USER IF EXISTS {$this->account($site)} ACCOUNT UNLOCK");
        }
    }

    private function limit_time(): void
    {
        // Nobody goes on with a transaction that was prepared and left.
        foreach ($this->database->query("XA RECOVER FORMAT='SQL'")->fetch_all(MYSQLI_ASSOC) as ['data' => $transaction]) {
            $this->try("XA ROLLBACK $transaction");
        }
        $seconds = undo_below("$this->directory/data") > MOST_UNDO ? LONGEST_TRANSACTION_SECONDS : LONGEST_SECONDS;
        $late = "SELECT id FROM information_schema.processlist WHERE user LIKE 'wp-%' AND command <> 'Sleep' AND time > " . LONGEST_SECONDS
            . ' UNION SELECT trx_mysql_thread_id FROM information_schema.innodb_trx JOIN information_schema.processlist ON id = trx_mysql_thread_id'
            . " WHERE user LIKE 'wp-%' AND trx_started < NOW() - INTERVAL $seconds SECOND";
        foreach ($this->database->query($late)->fetch_all() as [$session]) {
            $this->try("KILL $session");
        }
    }

    /** Above its quota a site reads and throws away. That it may do no more is kept in the server, and nowhere else. */
    private function limit_databases(): void
    {
        $found = $this->database->query("SELECT user, db, insert_priv = 'Y' FROM mysql.db WHERE db LIKE 'wp-%' AND user LIKE 'wp-%'");
        foreach ($found->fetch_all() as [$site, $name, $may_write]) {
            $bytes = size_of("$this->directory/data/" . str_replace('-', '@002d', $name));
            if ($may_write && $bytes > $this->quota) {
                error_log(sprintf('keeper: the database of %s has %d MiB: it may only be read and thrown away', $site, $bytes / MIB));
                $this->database->query('REVOKE ' . WRITING . " ON `$name`.* FROM {$this->account($site)}");
                // Living sessions would keep what they had.
                $this->database->query("KILL USER {$this->account($site)}");
            } elseif (!$may_write && $bytes < $this->quota * ROOM_AGAIN) {
                $this->database->query('GRANT ' . WRITING . " ON `$name`.* TO {$this->account($site)}");
            }
        }
    }

    /** What may be done already, or cannot be now. */
    private function try(string $statement): void
    {
        try {
            $this->database->query($statement);
        } catch (mysqli_sql_exception) {
        }
    }

    private function account(string $site): string
    {
        return "'{$this->database->real_escape_string($site)}'@'localhost'";
    }
}

/** What the server's threads have done for the sessions that live. A thread may have served others before. */
final class Threads
{
    private array $before = [];
    private array $sessions = [];

    public function __construct(private readonly int $server)
    {
    }

    public function follow(array $sessions): void
    {
        $now = [];
        foreach (scandir("/proc/$this->server/task") ?: [] as $thread) {
            $now[$thread] = self::done("/proc/$this->server/task/$thread");
        }
        $known = $this->sessions;
        $this->sessions = [];
        foreach ($sessions as ['id' => $id, 'user' => $site, 'tid' => $thread]) {
            $done = $now[$thread] ?? null;
            $from = $known[$id]['from'] ?? $this->before[$thread] ?? ['faulted' => 0, 'written' => 0];
            if ($done !== null) {
                $this->sessions[$id] = ['site' => $site, 'from' => $from, 'done' => $done];
            }
        }
        $this->before = $now;
    }

    /** Bytes by site. */
    public function shares(string $measure): array
    {
        $shares = [];
        foreach ($this->sessions as ['site' => $site, 'from' => $from, 'done' => $done]) {
            $shares[$site] = ($shares[$site] ?? 0) + $done[$measure] - $from[$measure];
        }
        return $shares;
    }

    private static function done(string $thread): array
    {
        // The name before may hold anything.
        $stat = explode(' ', substr(strrchr(@file_get_contents("$thread/stat") ?: ')', ')'), 2));
        preg_match('/^write_bytes: (\d+)/m', @file_get_contents("$thread/io") ?: '', $io);
        return ['faulted' => (int) ($stat[7] ?? 0) * 4096, 'written' => (int) ($io[1] ?? 0)];
    }
}

/** On the clock of hrtime. */
function in_seconds(int $seconds): int
{
    return hrtime(true) + $seconds * 1_000_000_000;
}

function memory_of(int $process): int
{
    return (int) (explode(' ', @file_get_contents("/proc/$process/statm") ?: '0 0')[1]) * 4096;
}

/** Those it has open: most have no name any more. */
function temporary_files_of(int $process, string $folder): int
{
    $bytes = 0;
    foreach (scandir("/proc/$process/fd") ?: [] as $descriptor) {
        $path = "/proc/$process/fd/$descriptor";
        if (str_starts_with((string) @readlink($path), $folder)) {
            $bytes += (@stat($path)['blocks'] ?? 0) * 512;
        }
    }
    return $bytes;
}

function undo_below(string $folder): int
{
    return array_sum(array_map(fn(string $file): int => @stat($file)['blocks'] * 512, glob("$folder/undo*")));
}

function size_of(string $folder): int
{
    clearstatcache();
    $bytes = 0;
    foreach (@scandir($folder) ?: [] as $file) {
        $bytes += (@stat("$folder/$file")['blocks'] ?? 0) * 512;
    }
    return $bytes;
}
