# Sourced by scripts/test: a server for the tests of the state in Valkey, which start and end it themselves. Needs steps.sh
# and python.sh (install_debian).

# Not 0 when there is none and none may be installed.
ensure_valkey() {
  has_valkey && return
  [[ ${CI:-} == true ]] && ((EUID == 0)) || return
  step 'Debian package valkey-server or redis-server' install_valkey && has_valkey
}

# Private

# Older releases of Debian have Redis only.
install_valkey() { install_debian valkey-server || install_debian redis-server; }

has_valkey() { command -v valkey-server >/dev/null || command -v redis-server >/dev/null; }
