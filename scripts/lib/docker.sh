# Sourced by scripts/test: a Docker engine for the Docker tests. Needs steps.sh, python.sh (install_debian) and `root`.

docker_answers() { command -v docker >/dev/null && docker version >/dev/null 2>&1; }

# Installs Debian's engine and what bases are made with, and starts a dockerd of our own. Not 0 when that fails.
start_docker() {
  if ! command -v dockerd >/dev/null || ! command -v mmdebstrap >/dev/null; then
    step 'Debian packages docker.io, mmdebstrap' install_debian docker.io mmdebstrap || return
  fi
  docker_answers && return
  dockerd_log=$(mktemp)
  setsid dockerd >"$dockerd_log" 2>&1 </dev/null &
  dockerd_pid=$!
  step 'dockerd' wait_for_docker || {
    tail -n 20 -- "$dockerd_log" >&2
    return 1
  }
}

# Ends the dockerd that start_docker started, if any.
stop_docker() {
  [[ -n ${dockerd_pid:-} ]] || return 0
  kill -- "$dockerd_pid" 2>/dev/null || true
  wait "$dockerd_pid" 2>/dev/null || true
  rm -f -- "$dockerd_log"
}

# Private

wait_for_docker() {
  for _ in {1..120}; do
    docker_answers && return
    kill -0 "$dockerd_pid" 2>/dev/null || return 1
    sleep 0.5
  done
  return 1
}
