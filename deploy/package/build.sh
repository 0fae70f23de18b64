#!/usr/bin/env bash
# Builds deb and rpm with nfpm, which needs no other tool: build.sh ARCH... The result is in build/packages.
set -euo pipefail
cd "$(dirname "$0")/../.."

out=build/packages
rm -rf "$out" && mkdir -p "$out"
VERSION=${VERSION:-$(git describe --tags --match 'v*' --dirty 2>/dev/null || echo "v0.0.0-dev.$(git rev-list --count HEAD)")}
VERSION=${VERSION#v}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
MTIME=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
STAGE=build/package
export VERSION SOURCE_DATE_EPOCH MTIME STAGE CGO_ENABLED=0
rm -rf "$STAGE" && mkdir -p "$STAGE/man"
go run ./deploy/package/manpages "$STAGE/man"
for ARCH in "$@"; do
  export ARCH
  GOOS=linux GOARCH=$ARCH go build -trimpath -ldflags '-s -w' -o "$STAGE/cometmq" ./cmd/cometmq
  for kind in deb rpm; do
    go tool -modfile=tools/nfpm/go.mod nfpm package -f deploy/package/nfpm.yaml -p "$kind" -t "$out/"
  done
done
ls -l "$out"
