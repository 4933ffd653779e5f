<?php
// After a lease: the site's database is made anew, empty. Nothing of the site's own directory is used, which was its tenant's.
$socket = '{{service.mariadb.run}}/mysqld.sock';
$database = patiently(fn() => new mysqli('localhost', 'wp-{{id}}', '{{secret.database}}', null, 0, $socket));
throw_away_database($database);
patiently(fn() => $database->query('CREATE DATABASE `' . database_name() . '` CHARACTER SET utf8mb4'));
