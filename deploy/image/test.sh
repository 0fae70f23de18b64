#!/usr/bin/env bash
# Runs the image of this machine's architecture for real, with podman and runc: test.sh NAME:TAG
# Needs root, and Debian's packages buildah, podman, runc, iproute2, which it installs when they are missing.
set -euo pipefail

name=$1
arch=$(go env GOARCH)
for tool in buildah podman runc ip; do
  command -v "$tool" >/dev/null || { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy buildah podman runc iproute2; break; }
done
# In a network of its own, so that the standard ports are free whatever else runs on this machine.
if [ -z "${IMAGE_TEST_NETWORK:-}" ]; then
  IMAGE_TEST_NETWORK=own exec unshare --net "$0" "$@"
fi
ip link set lo up
PODMAN="podman --storage-driver vfs --runtime runc"
# A machine without the right to raise limits, and without a bridge.
RUN="--network=host --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --read-only --tmpfs /tmp"
id=cometmq-test-$$
store=$(mktemp -d)
chown 3000:3000 "$store"
trap '$PODMAN rm -f $id-ns $id-b >/dev/null 2>&1 || true; rm -rf "$store"' EXIT
fail() { echo "image-test: $*" >&2; $PODMAN logs "$id-ns" >&2 || true; $PODMAN logs "$id-b" >&2 || true; exit 1; }
image=$name-$arch

boots() { # CONTAINER
  for _ in $(seq 100); do
    if $PODMAN logs "$1" 2>&1 | grep -q "boot success"; then return; fi
    sleep 0.1
  done
  fail "$1 does not start"
}

# The whole output is read before it is searched: a grep that ends at once would end the other side, too.
shows() { # COUNT TEXT: among the first COUNT messages is that one
  local out
  out=$($PODMAN exec "$id-b" /cometmq tail -t ImageTest --from-start --count "$1") || return 1
  grep -q "$2" <<<"$out" || { echo "$out" >&2; return 1; }
}

echo "== started as compose files start Java's image, read-only, as user 3000"
$PODMAN run -d --name "$id-ns" $RUN "$image" sh mqnamesrv
boots "$id-ns"
$PODMAN run -d --name "$id-b" $RUN -e NAMESRV_ADDR=127.0.0.1:9876 -e POD_NAME=broker -e JAVA_OPT_EXT="-Xms1g -Xmx1g" \
  -v "$store:/home/rocketmq/store" "$image" /bin/sh -c "exec ./mqbroker -c ../conf/\$POD_NAME.conf"
boots "$id-b"
[ "$($PODMAN exec "$id-b" /cometmq health | grep -c serves)" = 2 ] || fail "health"
$PODMAN exec "$id-b" mqadmin updateTopic -c DefaultCluster -t ImageTest -n 127.0.0.1:9876 || fail "mqadmin"
$PODMAN exec "$id-b" /cometmq send -t ImageTest -b hello || fail "send"
shows 1 hello || fail "tail"

java=$(echo "${COMETMQ_JARS:-$HOME/.cache/cometmq-peer}"/server-5.5.0)
if command -v java >/dev/null && [ -d "$java" ]; then
  echo "== an unmodified Java client"
  java -cp "$java/*:$java/lib/*" -Drocketmq.namesrv.addr=127.0.0.1:9876 org.apache.rocketmq.tools.command.MQAdminStartup \
    sendMessage -t ImageTest -p from-java | grep -q SEND_OK || fail "Java's producer"
  shows 2 from-java || fail "what Java sent"
else
  echo "== Java's client: SKIPPED, no JDK or no jars (test/peer/setup.sh)"
fi

echo "== SIGTERM ends it cleanly"
$PODMAN stop -t 60 "$id-b"
[ "$($PODMAN inspect -f '{{.State.ExitCode}}' "$id-b")" = 0 ] || fail "exit code"
[ ! -e "$store/abort" ] || fail "abort file left"

echo "== a store of somebody else"
chown -R 0:0 "$store" && chmod 700 "$store"
out=$($PODMAN run --rm $RUN -v "$store:/home/rocketmq/store" "$image" mqbroker -n 127.0.0.1:9876 2>&1) && fail "started on a store that is not its own"
grep -q "chown -R 3000:3000" <<<"$out" || fail "no chown line: $out"

echo "== beyond the shell"
rc=0
out=$($PODMAN run --rm $RUN "$image" sh -c 'ls | wc' 2>&1) || rc=$?
[ "$rc" = 127 ] && grep -q -- "-debug" <<<"$out" || fail "sh -c: $rc $out"
echo "image-test: ok"
