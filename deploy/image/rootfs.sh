#!/usr/bin/env bash
# Makes the root file system of the image as a tar file: rootfs.sh BINARY OUT.tar [BUSYBOX]
# With BUSYBOX, a static one, it is that of the -debug variant. The same input gives the same bytes: SOURCE_DATE_EPOCH is the time of all files.
set -euo pipefail

binary=$1 out=$2 busybox=${3:-}
here=$(cd "$(dirname "$0")" && pwd)
version=${ROCKETMQ_VERSION:-5.5.0}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

home=home/rocketmq/rocketmq-$version
mkdir -p "$root"/{bin,tmp,etc/ssl/certs,root,opt,libexec} "$root/$home"/{bin,conf} "$root"/home/rocketmq/{store,logs,namesrv,controller,cometmq}
install -m 755 "$binary" "$root/cometmq"
ln -s /cometmq "$root/rmq"
ln -s "/$home" "$root/opt/rocketmq-$version"
ln -s /home/rocketmq/store "$root/root/store"
ln -s /home/rocketmq/logs "$root/root/logs"
cp -r "$here/../conf/." "$root/$home/conf/"
ca=/etc/ssl/certs/ca-certificates.crt
if [ -r "$ca" ]; then install -m 644 "$ca" "$root$ca"; fi
printf 'root:x:0:0:root:/root:/bin/sh\nrocketmq:x:3000:3000:rocketmq:/home/rocketmq:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\nrocketmq:x:3000:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"

ln -s /cometmq "$root/bin/cometmq"
programs="mqnamesrv mqbroker mqproxy mqcontroller mqadmin mqbrokercontainer mqshutdown mqstandalone runbroker.sh runserver.sh tools.sh docker-entrypoint.sh"
if [ -z "$busybox" ]; then
  ln -s /cometmq "$root/bin/sh"
  for p in $programs; do ln -s /cometmq "$root/$home/bin/$p"; done
else
  # A real shell reads what it is given as a script, so the programs are scripts here.
  install -m 755 "$busybox" "$root/bin/busybox"
  for p in sh ash cat cp cut date df du env find free grep head hostname id kill ls mkdir more mv nc netstat nslookup ping ps pwd rm sed sleep sort tail tar top uname vi wc wget; do
    ln -s busybox "$root/bin/$p"
  done
  for p in $programs; do
    ln -s /cometmq "$root/libexec/$p"
    printf '#!/bin/sh\nexec /libexec/%s "$@"\n' "$p" >"$root/$home/bin/$p"
    chmod 755 "$root/$home/bin/$p"
  done
fi

chmod 1777 "$root/tmp"
# What only root may read would be of no use to the image's user; modes do not depend on who runs this.
find "$root" -type d ! -path "$root/tmp" -exec chmod 755 {} +
find "$root/$home/conf" -type f -exec chmod 644 {} +
pack() { tar --sort=name --mtime="@${SOURCE_DATE_EPOCH:-0}" --numeric-owner --format=gnu -C "$root" "$@"; }
# Only what servers write belongs to their user.
writable=(./home/rocketmq/store ./home/rocketmq/logs ./home/rocketmq/namesrv ./home/rocketmq/controller ./home/rocketmq/cometmq)
pack --owner=0 --group=0 "${writable[@]/#/--exclude=}" -cf "$out" .
pack --owner=3000 --group=3000 -rf "$out" "${writable[@]}"
