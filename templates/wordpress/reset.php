<?php
// After a lease: the site's database is made anew, empty. Nothing of the site's own directory is used, which was its tenant's.
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
$database = new mysqli('localhost', 'wp-{{id}}', '{{secret.database}}', null, 0, '{{service.mariadb.run}}/mysqld.sock');
$name = 'wp-' . substr(hash('sha256', '{{id}}'), 0, 32);

// A statement goes on in the server when its client is gone, and may be a loop that writes for ever.
while ($sessions = $database->query('SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID()')->fetch_all()) {
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
try {
    $database->query("DROP DATABASE IF EXISTS `$name`");
} catch (mysqli_sql_exception) {
    // Transactions that were prepared and left so outlive their connections, and their locks do. Whose they are is not told.
    foreach ($database->query("XA RECOVER FORMAT='SQL'")->fetch_all(MYSQLI_ASSOC) as ['data' => $transaction]) {
        try {
            $database->query("XA ROLLBACK $transaction");
        } catch (mysqli_sql_exception) {
            // A living connection has it, so it is another site's.
        }
    }
    $database->query("DROP DATABASE IF EXISTS `$name`");
}
$database->query("CREATE DATABASE `$name` CHARACTER SET utf8mb4");
