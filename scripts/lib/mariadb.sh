# Sourced by scripts/test: a server for the tests of shared services, which start and end it themselves. Needs steps.sh and
# python.sh (install_debian).

# Not 0 when there is none and none may be installed.
ensure_mariadb() {
  has_mariadb && return
  [[ ${CI:-} == true ]] && ((EUID == 0)) || return
  step 'Debian packages of MariaDB' install_debian mariadb-server-core mariadb-client && has_mariadb
}

# Private

has_mariadb() {
  local program
  for program in /usr/sbin/mariadbd /usr/bin/mariadb-install-db /usr/bin/mariadb /usr/bin/mariadb-dump; do
    [[ -x $program ]] || return 1
  done
}
