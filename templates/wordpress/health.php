<?php
// For Bunkhouse's own check: who answers here, and does its database? Nobody else learns anything.
$site = bunkhouse_site();
if (!hash_equals($site['check'], $_SERVER['HTTP_X_BUNKHOUSE_CHECK'] ?? '')) {
    http_response_code(404);
    exit;
}
header('Content-Type: application/json');
try {
    mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
    ['user' => $user, 'password' => $password, 'socket' => $socket] = $site['database'];
    // Not what is in it: that is its tenant's affair, and no restart would mend it.
    (new mysqli('localhost', $user, $password, null, 0, $socket))->query('SELECT 1');
} catch (mysqli_sql_exception $error) {
    http_response_code(503);
    exit(json_encode(['site' => $site['id'], 'database' => $error->getMessage()]));
}
echo json_encode(['site' => $site['id'], 'database' => 'ok']);
