# Sourced by scripts/test: a server for the tests of shared services, which start and end it themselves. Needs steps.sh and
# python.sh (install_debian).

# Not 0 when there is none and none may be installed.
ensure_mariadb() {
  has_mariadb && return
  [[ ${CI:-} == true ]] && ((EUID == 0)) || return
  step 'Debian packages of MariaDB' install_debian mariadb-server-core mariadb-client && has_mariadb
}

# Private

has_mariadb() { [[ -x /usr/sbin/mariadbd ]] && command -v mariadb mariadb-dump mariadb-install-db >/dev/null; }
