<?php
// A site is removed: its user and its database go. As the administrator, in the directory of the service.
['user' => $user, 'password' => $password, 'socket' => $socket] = parse_ini_file('{{service.dir}}/admin.cnf');
$database = new mysqli('localhost', $user, $password, null, 0, $socket);
$database->query("DROP USER IF EXISTS 'wp-{{id}}'@'localhost'");
throw_away_database($database);
