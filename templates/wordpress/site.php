<?php
// Before every request: WordPress's own files are links to the package's, so it must be told where the site is.
define('ABSPATH', __DIR__ . '/site/');

/** What Bunkhouse says of this site. */
function bunkhouse_site(): array
{
    static $site = null;
    return $site ??= json_decode(file_get_contents(__DIR__ . '/site.json'), true, 8, JSON_THROW_ON_ERROR);
}

/** The same name that the template's SQL works out: ids may be longer than names of databases, and hold any sign. */
function bunkhouse_database_name(): string
{
    return 'wp-' . substr(hash('sha256', bunkhouse_site()['id']), 0, 32);
}
