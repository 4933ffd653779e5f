# Sourced by scripts/test: a server that speaks like S3, for the tests of backups in a bucket, which start and end it
# themselves. Built from source by Go. Needs steps.sh.

readonly S3_SERVER_VERSION=v1.8.0

# Not 0 when there is none and Go, which makes it, is not there.
ensure_s3() {
  has_s3 && return
  command -v go >/dev/null || return
  step "versitygw $S3_SERVER_VERSION" make_s3 && has_s3
}

# Private

has_s3() { [[ -n ${BUNKHOUSE_TEST_S3:-} ]] || [[ -x $root/.bunkhouse/bin/versitygw ]] || command -v versitygw >/dev/null; }

make_s3() {
  mkdir -p "$root/.bunkhouse/bin"
  GOBIN=$root/.bunkhouse/bin GOFLAGS=-buildvcs=false CGO_ENABLED=0 go install "github.com/versity/versitygw/cmd/versitygw@$S3_SERVER_VERSION"
}
