#!/usr/bin/env bash
# Runs the tests of the packages that are named under the race detector.
#
# The detector itself crashes now and then where bubbles of virtual time run many timers (golang/go#78156): "ThreadSanitizer: CHECK
# failed", or a segmentation violation in its own code. That says nothing about our code, so packages that ended so are run again,
# twice at most. A data race, a failed test, a panic or a timeout is never run again.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CGO_ENABLED=1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
packages=("$@")
for again in 2 1 0; do
  if ${GO:-go} test -race -timeout 30m "${packages[@]}" 2>&1 | tee "$out"; then exit 0; fi
  mapfile -t packages < <(awk '/^FAIL\t/ {print $2}' "$out")
  crashes=$(grep -cE '^ThreadSanitizer: CHECK failed|^SIGSEGV: segmentation violation' "$out" || true)
  if grep -qE '^ *--- FAIL|DATA RACE|^panic:|^fatal error:|test timed out|\[(build|setup) failed\]' "$out" || [ "$crashes" -lt "${#packages[@]}" ] || [ "${#packages[@]}" = 0 ]; then
    exit 1
  fi
  [ "$again" = 0 ] || echo "race: the detector itself crashed; once more: ${packages[*]}"
done
exit 1
