<?php
/**
 * Makes the site when it is not there yet, then becomes its web server. Runs at every start, in the site's directory and as
 * the site's user. Broken off anywhere, it is made good by the next start.
 */
require __DIR__ . '/site.php';

const CORE = '/usr/share/wordpress';
const OWN = ['wp-content/plugins', 'wp-content/themes', 'wp-content/uploads', 'wp-content/upgrade'];
const SHARED = '/{wp-admin,wp-includes,*.php,wp-content/{index.php,languages,plugins/*,themes/*}}';
/** A table that is there while WordPress is being installed, and never when somebody may have put something beside it. */
const INSTALLING = 'bunkhouse_installing';

mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
['user' => $user, 'password' => $password, 'socket' => $socket] = bunkhouse_site()['database'];
$database = new mysqli('localhost', $user, $password, null, 0, $socket);

link_core();
glob(CORE . '/wp-content/themes/*') || exit("WordPress has no theme here: it is in Debian's package wordpress-theme-…\n");
needs_installation($database) && install($database);
$database->close();
become_server();

/** All sites share the package's files; plugins, themes and uploads of its own are beside the links to them. */
function link_core(): void
{
    foreach (OWN as $folder) {
        is_dir(ABSPATH . $folder) || mkdir(ABSPATH . $folder, 0700, true);
    }
    foreach (glob(CORE . SHARED, GLOB_BRACE) as $path) {
        $link = ABSPATH . substr($path, strlen(CORE) + 1);
        is_link($link) || file_exists($link) || symlink($path, $link);
    }
}

/** Nothing is ever installed over what a tenant has, whatever that is: only into nothing, or over an installation that was broken off. */
function needs_installation(mysqli $database): bool
{
    $tables = tables($database);
    return $tables === [] || in_array(INSTALLING, $tables, true);
}

function tables(mysqli $database): array
{
    $name = bunkhouse_database_name();
    try {
        $database->select_db($name);
    } catch (mysqli_sql_exception) {
        // Its tenant has thrown it away.
        $database->query("CREATE DATABASE `$name` CHARACTER SET utf8mb4");
        $database->select_db($name);
    }
    return array_column($database->query('SHOW TABLES')->fetch_all(), 0);
}

function install(mysqli $database): void
{
    $database->query('CREATE TABLE IF NOT EXISTS ' . INSTALLING . ' (since DATETIME)');
    foreach (array_diff(tables($database), [INSTALLING]) as $table) {
        $database->query("DROP TABLE `$table`");
    }
    ['title' => $title, 'admin' => $admin] = bunkhouse_site();
    define('WP_INSTALLING', true);
    $_SERVER += ['HTTP_HOST' => 'localhost', 'REQUEST_URI' => '/', 'REQUEST_METHOD' => 'GET', 'SERVER_PROTOCOL' => 'HTTP/1.1'];
    require ABSPATH . 'wp-load.php';
    require ABSPATH . 'wp-admin/includes/upgrade.php';
    wp_install($title, $admin['user'], $admin['email'], false, '', $admin['password']);
    update_option('permalink_structure', '/%postname%/');
    $database->query('DROP TABLE ' . INSTALLING);
}

/** Does not return. */
function become_server(): void
{
    $php = sprintf('/usr/lib/apache2/modules/libphp%d.%d.so', PHP_MAJOR_VERSION, PHP_MINOR_VERSION);
    $arguments = ['-d', __DIR__, '-f', __DIR__ . '/apache.conf', '-C', "LoadModule php_module $php", '-D', 'FOREGROUND'];
    // php.d beside what the package reads.
    $environment = ['PHP_INI_SCAN_DIR' => ':' . __DIR__ . '/php.d'] + getenv();
    pcntl_exec('/usr/sbin/apache2', $arguments, $environment);
    exit("/usr/sbin/apache2 cannot be run: it is in Debian's package apache2, with libapache2-mod-php\n");
}
