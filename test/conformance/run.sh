#!/usr/bin/env bash
# The suite against ours, and against Java when a JVM and its jars are there; ends with the counts.
set -uo pipefail
cd "$(dirname "$0")/../.."
export COMETMQ_BIN=${COMETMQ_BIN:-$PWD/bin/cometmq}
res=$(mktemp -d); trap 'rm -rf "$res"' EXIT
rc=0
for t in ours java; do
  CONFORMANCE_RESULT=$res/$t go test -count=1 -timeout 20m ./test/conformance -target $t || rc=1
done
for t in ours java; do [ -f "$res/$t" ] && awk '{print "conformance " $1 ": " $2 " passed, " $3 " failed"}' "$res/$t" || echo "conformance $t: not run"; done
exit $rc
