# Sourced by scripts: a Python ≥ 3.11 that bots can run, and a venv with what the process driver needs.
# Needs steps.sh and `root`, the checkout. Versions are those of the images: docker/*/requirements.txt.

# ensure_venv FOLDER REQUIREMENTS…: makes or completes the venv; nothing to do when it has these requirements.
ensure_venv() {
  local venv=$1 wanted python
  shift
  wanted=$(stamp_of "$@")
  if [[ $(cat -- "$venv/.bunkhouse" 2>/dev/null) == "$wanted" ]] && works "$venv/bin/python"; then return; fi
  mkdir -p -- "$(dirname -- "$venv")"
  as_bot test -x "$(dirname -- "$venv")" ||
    die "$(dirname -- "$venv") is closed to other users than root, and bots have users of their own." \
      'Choose another folder (DATA_DIR), or open it and the folders above it: chmod o+x'
  python=$(find_python) || die "$(no_python)" 'Debian has one: apt-get install python3 python3-venv'
  if ! works "$venv/bin/python"; then make_venv "$python" "$venv"; fi
  local files=() file
  for file in "$@"; do files+=(--requirement "$file"); done
  step "Python packages ($(names_of "$@"))" \
    "$venv/bin/python" -m pip install --disable-pip-version-check --no-input "${files[@]}" ||
    die 'The Python packages could not be installed.' 'Is the Python package index reachable? The lines above say what pip misses.'
  printf '%s\n' "$wanted" >"$venv/.bunkhouse"
}

# Prints the real path of the first Python that fits; not 0 when there is none.
find_python() {
  local candidate real
  for candidate in python3 /usr/bin/python3 /usr/local/bin/python3 python3.{14,13,12,11}; do
    real=$("$candidate" -c 'import os, sys
if sys.version_info < (3, 11): sys.exit(1)
print(os.path.realpath(sys.executable))' 2>/dev/null) || continue
    if works "$real"; then
      printf '%s\n' "$real"
      return
    fi
  done
  return 1
}

# Private

# Whether this Python runs, for the users of bots as well: one below /root does not.
works() { as_bot "$1" -c 'import ssl, sqlite3' >/dev/null 2>&1; }

# Runs a command as somebody without rights, where bots have users of their own.
as_bot() {
  if ((EUID == 0)); then
    # Through env: what setpriv itself starts is still looked up with the rights of root.
    setpriv --reuid 65534 --regid 65534 --clear-groups -- /usr/bin/env "$@"
  else
    "$@"
  fi
}

no_python() {
  if ((EUID == 0)); then
    printf 'there is no Python 3.11 or newer that other users than root can run.'
  else
    printf 'there is no Python 3.11 or newer.'
  fi
}

make_venv() {
  local python=$1 venv=$2
  if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    step "Python venv ($("$python" -V))" "$python" -m venv --clear "$venv" || die "$venv could not be made."
  elif ((EUID == 0)) && command -v apt-get >/dev/null; then
    step 'Debian package python3-venv' install_debian python3-venv ||
      die 'python3-venv could not be installed.' 'Install it yourself: apt-get install python3-venv'
    step "Python venv ($("$python" -V))" "$python" -m venv --clear "$venv" || die "$venv could not be made."
  else
    step 'Python venv by virtualenv' make_venv_by_pip "$python" "$venv" ||
      die 'this Python cannot make a venv.' 'Ask for the Debian package: sudo apt-get install python3-venv'
  fi
}

make_venv_by_pip() {
  local tool=$root/.tools/virtualenv
  "$1" -m pip install --disable-pip-version-check --no-input --target "$tool" virtualenv &&
    PYTHONPATH=$tool "$1" -m virtualenv --clear "$2"
}

# install_debian PACKAGE…: the programs alone. Whoever needs a server starts one of their own.
install_debian() (
  export DEBIAN_FRONTEND=noninteractive
  apt-get update || exit
  # Debian starts what it installs: a Caddy, Apache or Redis would have the ports of ours, and stay when we are done.
  policy=/usr/sbin/policy-rc.d
  if [[ ! -e $policy ]]; then
    trap 'rm -f -- "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  apt-get install --yes --no-install-recommends "$@"
)

stamp_of() { printf '%s %s\n' "$(hash_of "$@")" "$(names_of "$@")"; }
hash_of() { cat -- "$@" | sha256sum | cut -c1-16; }

# `supervisor 4.3.0, freqtrade 2026.9`
names_of() { sed -n 's/^\([a-z0-9-]*\)==\(.*\)$/\1 \2/p' -- "$@" | paste -sd, | sed 's/,/, /g'; }
