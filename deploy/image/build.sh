#!/usr/bin/env bash
# Builds the images with buildah, which needs no daemon: build.sh NAME:TAG ARCH...
# The result is NAME:TAG, a manifest of all architectures, build/image/cometmq-ARCH.oci.tar for each, and with BUSYBOX=/bin/busybox
# (static, of this machine's architecture) NAME:TAG-debug.
set -euo pipefail

name=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
work=$here/../../build/image
mkdir -p "$work"
cp "$here/Dockerfile" "$work/"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$here" log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
BUILDAH=${BUILDAH:-buildah --storage-driver vfs}
own=$(go env GOARCH)

build() { # TAG ARCH
  $BUILDAH bud --isolation chroot --format docker --timestamp "$SOURCE_DATE_EPOCH" --platform "linux/$2" --build-arg "TARGETARCH=$2" -t "$1" -f "$work/Dockerfile" "$work"
}

for arch in "$@"; do
  (cd "$here/../.." && CGO_ENABLED=0 GOOS=linux GOARCH=$arch go build -trimpath -ldflags '-s -w' -o "$work/cometmq-$arch" ./cmd/cometmq)
  "$here/rootfs.sh" "$work/cometmq-$arch" "$work/rootfs-$arch.tar"
  build "$name-$arch" "$arch"
  rm -f "$work/cometmq-$arch.oci.tar"
  $BUILDAH push "$name-$arch" "oci-archive:$work/cometmq-$arch.oci.tar:$name"
  size=$(stat -c %s "$work/cometmq-$arch.oci.tar")
  echo "$name-$arch: $size bytes compressed"
  if [ "$size" -gt $((25 << 20)) ]; then
    echo "the image for $arch is larger than 25 MiB" >&2
    exit 1
  fi
done
$BUILDAH manifest rm "$name" >/dev/null 2>&1 || $BUILDAH rmi "$name" >/dev/null 2>&1 || true
$BUILDAH manifest create "$name"
for arch in "$@"; do $BUILDAH manifest add "$name" "containers-storage:$name-$arch"; done

if [ -n "${BUSYBOX:-}" ]; then
  plain=$(mktemp)
  cp "$work/rootfs-$own.tar" "$plain"
  "$here/rootfs.sh" "$work/cometmq-$own" "$work/rootfs-$own.tar" "$BUSYBOX"
  build "$name-debug" "$own"
  mv "$plain" "$work/rootfs-$own.tar"
fi
