<?php
// The configuration of one site, written anew by Bunkhouse at every start.

/** One of the headers by which the proxy says how the visitor came here; empty when it does not, or says nonsense. */
function bunkhouse_forwarded(string $name, string $pattern): string
{
    $value = $_SERVER["HTTP_X_FORWARDED_$name"] ?? '';
    return preg_match($pattern, $value) === 1 ? $value : '';
}

(function (): void {
    $scheme = bunkhouse_forwarded('PROTO', '/^https?$/D') ?: 'http';
    $host = bunkhouse_forwarded('HOST', '/^[A-Za-z0-9.:\[\]-]+$/D') ?: $_SERVER['HTTP_HOST'] ?? 'localhost';
    $prefix = bunkhouse_forwarded('PREFIX', '#^(/[A-Za-z0-9._-]+)*$#D');
    if ($scheme === 'https') {
        $_SERVER['HTTPS'] = 'on';
    }
    $_SERVER['HTTP_HOST'] = $host;
    // The proxy takes its prefix off; for WordPress the site is in a folder of that name.
    foreach (['REQUEST_URI', 'PHP_SELF', 'SCRIPT_NAME'] as $name) {
        $_SERVER[$name] = $prefix . ($_SERVER[$name] ?? '/');
    }
    define('WP_HOME', "$scheme://$host$prefix");
    define('WP_SITEURL', WP_HOME);

    ['database' => $database, 'keys' => $keys] = bunkhouse_site();
    define('DB_NAME', bunkhouse_database_name());
    define('DB_USER', $database['user']);
    define('DB_PASSWORD', $database['password']);
    define('DB_HOST', "localhost:{$database['socket']}");
    define('DB_CHARSET', 'utf8mb4');
    define('DB_COLLATE', '');
    foreach (['AUTH', 'SECURE_AUTH', 'LOGGED_IN', 'NONCE'] as $name) {
        define("{$name}_KEY", hash_hmac('sha256', "{$name}_KEY", $keys));
        define("{$name}_SALT", hash_hmac('sha256', "{$name}_SALT", $keys));
    }
})();

$table_prefix = 'wp_';

// The package's files are renewed by the package, and a pool need not reach the internet.
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('AUTOMATIC_UPDATER_DISABLED', true);
define('WP_AUTO_UPDATE_CORE', false);
// It would call the site by its public name, from inside.
define('DISABLE_WP_CRON', true);
define('FS_METHOD', 'direct');
define('WP_TEMP_DIR', dirname(__DIR__) . '/tmp');

require_once ABSPATH . 'wp-settings.php';
