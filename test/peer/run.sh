#!/usr/bin/env bash
# Runs the peer tests with the binary that `make build` made. They wait a lot, so three of them run side by side.
set -euo pipefail
cd "$(dirname "$0")/../.."
test/peer/setup.sh
COMETMQ_BIN=${COMETMQ_BIN:-$PWD/bin/cometmq} go test -count=1 -timeout 30m -parallel 3 -tags peer ./test/peer/... "$@"
