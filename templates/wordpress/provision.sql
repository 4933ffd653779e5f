-- A database and a user for a site. The name is worked out as in site.php: it holds no sign that GRANT takes for a wildcard.
SET @name = CONCAT('wp-', LEFT(SHA2('{{id}}', 256), 32));
EXECUTE IMMEDIATE CONCAT('CREATE DATABASE IF NOT EXISTS `', @name, '` CHARACTER SET utf8mb4');
CREATE USER IF NOT EXISTS 'wp-{{id}}'@'localhost';
-- New for each lease. As many connections as Apache has processes, and some.
ALTER USER 'wp-{{id}}'@'localhost' IDENTIFIED BY '{{secret.database}}' WITH MAX_USER_CONNECTIONS 10;
EXECUTE IMMEDIATE CONCAT('GRANT ALL ON `', @name, '`.* TO ''wp-{{id}}''@''localhost''');
-- These are kept in tables that all share, and would count to nobody.
EXECUTE IMMEDIATE CONCAT('REVOKE CREATE ROUTINE, ALTER ROUTINE, EVENT ON `', @name, '`.* FROM ''wp-{{id}}''@''localhost''');
