# Sourced by scripts: Node 24 and the npm packages. Needs steps.sh and `root`, the checkout.

# The variable PATH begins with a Node ≥ 24 afterwards; one of our own when the system's is older.
ensure_node() {
  local tools=$root/.tools/node_modules
  if fits_node node; then return; fi
  if ! fits_node "$tools/.bin/node"; then
    command -v npm >/dev/null ||
      die 'there is no npm.' 'Install Node with npm first, for example: apt-get install nodejs npm'
    step 'Node 24' npm install --prefix "$root/.tools" --no-audit --no-fund --loglevel=error node@24 ||
      die 'Node 24 could not be installed.' 'Is the npm registry reachable? Or install Node 24 yourself and run this again.'
    # Where npm runs no install scripts, the package holds only a link to one that holds the program.
    fits_node "$tools/.bin/node" || link_node "$tools"
  fi
  export PATH=$tools/.bin:$PATH
}

# ensure_packages prod|all
ensure_packages() {
  local omit=()
  if packages_fit "$1"; then return; fi
  if [[ $1 == prod && ! -e $root/node_modules/.bin/vitest ]]; then omit=(--omit=dev); fi
  # Not `npm ci`: it refuses a lock file without the packages of other platforms, which not every registry has.
  step 'npm packages' npm install --prefix "$root" --no-save --no-audit --no-fund --loglevel=error "${omit[@]}" ||
    die 'The npm packages could not be installed.' 'Is the npm registry reachable? The lines above say what npm misses.'
}

# Private

fits_node() {
  local version
  version=$("$1" --version 2>/dev/null) || return 1
  version=${version#v}
  ((${version%%.*} >= 24))
}

link_node() {
  local program
  for program in "$1"/node-linux-*/bin/node "$1"/node/bin/node; do
    fits_node "$program" && ln -sf -- "$program" "$1/.bin/node" && return
  done
  die 'npm installed Node 24, but it does not run here.' 'Install Node 24 yourself and run this again.'
}

# npm writes this file when it is done; package-lock.json is newer after a change.
packages_fit() {
  local done_file=$root/node_modules/.package-lock.json
  [[ -e $done_file && ! $done_file -ot $root/package-lock.json ]] || return 1
  [[ $1 == prod || -e $root/node_modules/.bin/vitest ]]
}
