#!/usr/bin/env bash
# The suite against ours, and against Java when a JVM and its jars are there, side by side, for both wait most of the time; ends with the
# counts. Arguments are for the test binary: -test.run ...
set -uo pipefail
cd "$(dirname "$0")"
export COMETMQ_BIN=${COMETMQ_BIN:-$PWD/../../bin/cometmq}
res=$(mktemp -d); pids=()
trap 'kill "${pids[@]}" 2>/dev/null; rm -rf "$res"' EXIT
go test -c -o "$res/suite" . || exit 1
for t in ours java; do
  CONFORMANCE_RESULT=$res/$t "$res/suite" -test.timeout 20m -target $t "$@" >"$res/$t.log" 2>&1 & pids+=($!)
done
rc=0
for p in "${pids[@]}"; do wait "$p" || rc=1; done
cat "$res"/{ours,java}.log
for t in ours java; do [ -f "$res/$t" ] && awk '{print "conformance " $1 ": " $2 " passed, " $3 " failed"}' "$res/$t" || echo "conformance $t: not run"; done
exit $rc
