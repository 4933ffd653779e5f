# Sourced by scripts: steps with their duration, and errors that say what to do next.

# die SENTENCE [WHAT TO DO NEXT]
die() {
  printf '%s: %s\n' "${0##*/}" "$1" >&2
  [[ $# -lt 2 ]] || printf '  %s\n' "$2" >&2
  exit 1
}

# step TITLE COMMAND…: runs it quietly and prints how long it took; when it fails, the end of what it said.
step() {
  local title=$1 begin=$SECONDS output status=0
  shift
  output=$(mktemp)
  if [[ -t 1 ]]; then
    "$@" >"$output" 2>&1 </dev/null &
    local pid=$!
    trap 'kill "$pid" 2>/dev/null || true; rm -f -- "$output"; printf "\n"; exit 130' INT TERM
    while kill -0 "$pid" 2>/dev/null; do
      printf '\r\033[K… %s (%s s)' "$title" $((SECONDS - begin))
      sleep 0.3
    done
    wait "$pid" || status=$?
    trap - INT TERM
    printf '\r\033[K'
  else
    printf '… %s\n' "$title"
    "$@" >"$output" 2>&1 </dev/null || status=$?
  fi
  if ((status == 0)); then
    printf '✓ %s (%s s)\n' "$title" $((SECONDS - begin))
  else
    printf '✗ %s (%s s)\n' "$title" $((SECONDS - begin))
    tail -n 30 -- "$output" | sed 's/^/  /' >&2
  fi
  rm -f -- "$output"
  return "$status"
}

# begin_installs, end_installs: one script at a time installs into this checkout and for it. Needs `root`, the checkout.
begin_installs() {
  mkdir -p -- "$root/.tools" 2>/dev/null && [[ -w $root/.tools ]] || return 0
  exec 9>"$root/.tools/lock"
  flock --nonblock 9 && return
  printf '… another run is installing\n'
  flock 9
}

end_installs() { exec 9>&-; }
