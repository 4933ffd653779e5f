SET @name = CONCAT('wp-', LEFT(SHA2('{{id}}', 256), 32));
DROP USER IF EXISTS 'wp-{{id}}'@'localhost';
EXECUTE IMMEDIATE CONCAT('DROP DATABASE IF EXISTS `', @name, '`');
