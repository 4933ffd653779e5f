<?php
// A site is removed: its user and its database go. As the administrator, in the directory of the service.
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
['user' => $user, 'password' => $password, 'socket' => $socket] = parse_ini_file('{{service.dir}}/admin.cnf');
$database = new mysqli('localhost', $user, $password, null, 0, $socket);
$name = 'wp-' . substr(hash('sha256', '{{id}}'), 0, 32);

$database->query("DROP USER IF EXISTS 'wp-{{id}}'@'localhost'");
// A statement goes on in the server when its client and its user are gone, and may be a loop that writes for ever.
while ($sessions = $database->query("SELECT id FROM information_schema.processlist WHERE BINARY user = 'wp-{{id}}'")->fetch_all()) {
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
