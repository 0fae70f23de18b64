#!/usr/bin/env bash
# Measures ours beside Java and writes docs/benchmarks.md. Takes about an hour; -only NAME runs one scenario and writes nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."
test/peer/setup.sh
export COMETMQ_BIN=${COMETMQ_BIN:-$PWD/bin/cometmq}
if [ $# = 0 ]; then set -- -write "$PWD/docs/benchmarks.md"; fi
exec go test -count=1 -timeout 3h -tags compare -v ./test/compare -run TestCompare "$@"
