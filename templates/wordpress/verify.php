<?php
// Proves that nothing of a site is left: no table, view, routine, trigger or event, no other database, no session, no file.
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
$database = new mysqli('localhost', 'wp-{{id}}', '{{secret.database}}', null, 0, '{{service.mariadb.run}}/mysqld.sock');
$name = 'wp-' . substr(hash('sha256', '{{id}}'), 0, 32);
$left = [];

$databases = array_column($database->query('SHOW DATABASES')->fetch_all(), 0);
if (array_values(array_diff($databases, ['information_schema'])) !== [$name]) {
    $left[] = 'databases ' . implode(' ', $databases);
}
foreach (['TABLES' => 'TABLE_SCHEMA', 'ROUTINES' => 'ROUTINE_SCHEMA', 'TRIGGERS' => 'TRIGGER_SCHEMA', 'EVENTS' => 'EVENT_SCHEMA'] as $kind => $column) {
    $count = $database->query("SELECT COUNT(*) FROM information_schema.$kind WHERE $column = '$name'")->fetch_column();
    if ((int) $count !== 0) {
        $left[] = "$count " . strtolower($kind);
    }
}
$sessions = $database->query('SELECT COUNT(*) FROM information_schema.processlist WHERE id <> CONNECTION_ID()')->fetch_column();
if ((int) $sessions !== 0) {
    $left[] = "$sessions sessions";
}
$files = array_diff(scandir('.'), ['.', '..']);
if ($files !== []) {
    $left[] = 'files ' . implode(' ', array_slice($files, 0, 5));
}
if ($left !== []) {
    echo 'left behind: ' . implode(', ', $left) . "\n";
    exit(1);
}
