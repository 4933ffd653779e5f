<?php
// After a lease: the site's database is made anew, empty. Nothing of the site's own directory is used, which was its tenant's.
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
$database = new mysqli('localhost', 'wp-{{id}}', '{{secret.database}}', null, 0, '{{service.mariadb.run}}/mysqld.sock');
$name = 'wp-' . substr(hash('sha256', '{{id}}'), 0, 32);
$database->query('SET lock_wait_timeout = 20');
$database->query("DROP DATABASE IF EXISTS `$name`");
$database->query("CREATE DATABASE `$name` CHARACTER SET utf8mb4");
