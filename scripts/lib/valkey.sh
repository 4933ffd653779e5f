# Sourced by scripts/test: a server for the tests of the state in Valkey, which start and end it themselves. Needs steps.sh
# and python.sh (install_debian).

# Not 0 when there is none and none may be installed.
ensure_valkey() {
  has_valkey && return
  [[ ${CI:-} == true ]] && ((EUID == 0)) || return
  local package=valkey-server
  # Older releases of Debian have Redis only.
  apt-cache show "$package" >/dev/null 2>&1 || package=redis-server
  step "Debian package $package" install_debian "$package" && has_valkey
}

# Private

has_valkey() { command -v valkey-server >/dev/null || command -v redis-server >/dev/null; }
