<?php
// Before a site's directory is packed: its database into database.sql, as far as its user may still read it.
[$user, $password, $socket] = ['wp-{{id}}', '{{secret.database}}', '{{service.mariadb.run}}/mysqld.sock'];
try {
    patiently(fn() => new mysqli('localhost', $user, $password, null, 0, $socket));
} catch (mysqli_sql_exception $error) {
    if ($error->getCode() !== 1045) {
        throw $error;
    }
    // Its tenant has changed the password: there is nobody left who could say that this is wanted.
    file_put_contents('database.txt', "The database was not saved: its user had changed the password.\n");
    exit(0);
}
// The user sees its own database only.
pcntl_exec('/usr/bin/mariadb-dump', [
    '--no-defaults', "--user=$user", "--socket=$socket", '--all-databases', '--single-transaction', '--result-file=database.sql',
], ['MYSQL_PWD' => $password]);
exit(1);
