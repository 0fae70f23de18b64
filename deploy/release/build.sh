#!/usr/bin/env bash
# Builds a release into build/release: an archive for each platform, deb and rpm, a bill of materials, and checksums of all.
# MATRIX chooses platforms. The same commit and Go release give the same bytes.
set -euo pipefail
cd "$(dirname "$0")/../.."

out=build/release
rm -rf "$out" && mkdir -p "$out"
VERSION=${VERSION:-$(git describe --tags --match 'v*' --dirty 2>/dev/null || echo "v0.0.0-dev.$(git rev-list --count HEAD)")}
VERSION=${VERSION#v}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export VERSION SOURCE_DATE_EPOCH CGO_ENABLED=0
MATRIX=${MATRIX:-linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64}

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
for platform in $MATRIX; do
  os=${platform%/*} arch=${platform#*/}
  name=cometmq-$VERSION-$os-$arch
  mkdir -p "$stage/$name"
  exe=cometmq
  if [ "$os" = windows ]; then exe=cometmq.exe; fi
  GOOS=$os GOARCH=$arch go build -trimpath -ldflags '-s -w' -o "$stage/$name/$exe" ./cmd/cometmq
  cp LICENSE README.md CHANGELOG.md "$stage/$name/"
  cp -r deploy/conf "$stage/$name/conf"
  if [ "$os" = linux ]; then cp -r deploy/systemd deploy/compose "$stage/$name/"; fi
  tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=gnu -C "$stage" -cf - "$name" | gzip -n -9 >"$out/$name.tar.gz"
  go run ./deploy/release/sbom "$stage/$name/$exe" >"$out/$name.cdx.json"
  echo "$name.tar.gz"
done
linux=""
for platform in $MATRIX; do if [ "${platform%/*}" = linux ]; then linux+=" ${platform#*/}"; fi; done
# shellcheck disable=SC2086 # a list
if [ -n "$linux" ]; then deploy/package/build.sh $linux >/dev/null && cp build/packages/* "$out/"; fi
(cd "$out" && sha256sum -- * >"$stage/sums" && mv "$stage/sums" SHA256SUMS)
echo "$out: $(wc -l <"$out/SHA256SUMS") files"
