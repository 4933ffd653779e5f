<?php
/**
 * Plugin Name: Bunkhouse
 * Description: What WordPress must know of the place it runs in.
 */

// Apache's FallbackResource sees to pretty permalinks; WordPress knows only of mod_rewrite.
add_filter('got_url_rewrite', '__return_true');

// There is no mail server here: say so at once instead of looking for one.
add_filter('pre_wp_mail', function ($sent, array $mail) {
    error_log('mail is not sent from here: ' . ($mail['subject'] ?? ''));
    return false;
}, 10, 2);
