# Sourced by scripts: Debian's packages for WordPress sites on the process driver. Needs steps.sh and python.sh (install_debian).

wordpress_packages=(wordpress libapache2-mod-php php-cli php-mysql php-xml php-mbstring mariadb-server-core mariadb-client libjemalloc2)

has_wordpress() {
  local file
  for file in /usr/share/wordpress/wp-load.php /usr/sbin/apache2 /usr/bin/php /usr/sbin/mariadbd /usr/bin/mariadb-dump; do
    [[ -e $file ]] || return 1
  done
  [[ -n $(find /usr/share/wordpress/wp-content/themes -mindepth 1 -maxdepth 1 -print -quit) ]] || return 1
  php -r 'exit(extension_loaded("mysqli") ? 0 : 1);'
}

# For tests. Not 0 when they are not there and may not be installed.
ensure_wordpress() {
  has_wordpress && return
  [[ ${CI:-} == true ]] && ((EUID == 0)) || return
  step 'Debian packages of WordPress' install_wordpress && has_wordpress
}

# For the demo: prints the driver that can run WordPress sites here. The wish: what POOL_DRIVER says, or nothing.
choose_wordpress_driver() {
  local wish=$1
  if [[ $wish != docker ]] && has_wordpress; then
    echo process
  elif [[ $wish != process ]] && command -v docker >/dev/null && docker version >/dev/null 2>&1; then
    echo docker
  else
    die 'WordPress sites need Debian packages that are not installed, or Docker.' \
      "As root: apt-get install --no-install-recommends ${wordpress_packages[*]} $(wordpress_theme)
  Or start a Docker engine, whose images are then built."
  fi
}

# Private

install_wordpress() {
  install_debian "${wordpress_packages[@]}" && install_debian $(wordpress_theme)
}

# Each release of WordPress has a theme of its own year. Without any, a site shows nothing.
wordpress_theme() { apt-cache depends wordpress 2>/dev/null | sed -n 's/^ *Recommends: \(wordpress-theme-.*\)/\1/p'; }
