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
    $database = new mysqli('localhost', $user, $password, bunkhouse_database_name(), 0, $socket);
    $database->query("SELECT 1 FROM wp_options WHERE option_name = 'siteurl'");
} catch (mysqli_sql_exception $error) {
    http_response_code(503);
    exit(json_encode(['site' => $site['id'], 'database' => $error->getMessage()]));
}
echo json_encode(['site' => $site['id'], 'database' => 'ok']);
