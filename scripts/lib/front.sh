# Sourced by scripts/test: programs for the tests of Caddy as the front with a real ACME server, which start and end them
# themselves. Needs steps.sh and python.sh (install_debian).

# Not 0 when they are not there and may not be installed.
ensure_front() {
  has_front && return
  [[ ${CI:-} == true ]] && ((EUID == 0)) || return
  step 'Debian packages caddy, pebble' install_debian caddy pebble openssl && has_front
}

# Private

has_front() {
  local program
  for program in caddy pebble pebble-challtestsrv openssl; do command -v "$program" >/dev/null || return; done
}
