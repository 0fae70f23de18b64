#!/usr/bin/env bash
# Runs the peer tests with the binary that `make build` made.
set -euo pipefail
cd "$(dirname "$0")/../.."
COMETMQ_BIN=${COMETMQ_BIN:-$PWD/bin/cometmq} go test -count=1 -timeout 25m -tags peer ./test/peer/... "$@"
