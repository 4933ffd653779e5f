<?php
// What the steps have in common that end a site. The text of such a step begins with this one.
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);

/** Worked out as in site.php and provision.sql. */
function database_name(): string
{
    return 'wp-' . substr(hash('sha256', '{{id}}'), 0, 32);
}

const ACCOUNT_IS_LOCKED = 4151;
const DATABASE_ACCESS_DENIED = 1044;

/** As soon as the server lets in. The keeper may have closed the site for a while, or taken its rights. */
function patiently(callable $act): mixed
{
    for ($until = time() + 45;; usleep(200_000)) {
        try {
            return $act();
        } catch (mysqli_sql_exception $error) {
            if (!in_array($error->getCode(), [ACCOUNT_IS_LOCKED, DATABASE_ACCESS_DENIED], true) || time() > $until) {
                throw $error;
            }
        }
    }
}

/** Ends all that goes on in it; then the database goes. */
function throw_away_database(mysqli $database): void
{
    // A statement goes on in the server when its client, and even its user, is gone, and may be a loop that writes for ever.
    $living = "SELECT id FROM information_schema.processlist WHERE BINARY user = 'wp-{{id}}' AND id <> CONNECTION_ID()";
    while ($sessions = $database->query($living)->fetch_all()) {
        foreach ($sessions as [$session]) {
            try {
                $database->query("KILL $session");
            } catch (mysqli_sql_exception) {
                // It has ended meanwhile.
            }
        }
        usleep(50_000);
    }
    $database->query('SET lock_wait_timeout = 5, innodb_lock_wait_timeout = 5');
    $drop = 'DROP DATABASE IF EXISTS `' . database_name() . '`';
    try {
        $database->query($drop);
    } catch (mysqli_sql_exception) {
        // Transactions that were prepared and left so outlive their connections, and their locks do. Whose they are is not told.
        foreach ($database->query("XA RECOVER FORMAT='SQL'")->fetch_all(MYSQLI_ASSOC) as ['data' => $transaction]) {
            try {
                $database->query("XA ROLLBACK $transaction");
            } catch (mysqli_sql_exception) {
                // A living connection has it, so it is another site's.
            }
        }
        $database->query($drop);
    }
}
?>
