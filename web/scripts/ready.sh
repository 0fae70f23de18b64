#!/usr/bin/env bash
# Brings what the tests of the front end need: Node 20 and, when it is named as argument, Chromium, both from the system's package
# manager when they are missing and it may be used, and the pinned packages (deps.sh). Ends with 1 and a reason when it cannot.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { echo "web: $*"; }
packages() {
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then return 1; fi
  say "installing $* with apt-get"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}
node20() { command -v npm >/dev/null && [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ]; }
node20 || { packages nodejs npm && node20; } || { say "no Node 20 here"; exit 1; }
if [ "${1:-}" = chromium ]; then
  command -v chromium >/dev/null || packages chromium fonts-noto-cjk || { say "no Chromium here"; exit 1; }
fi
scripts/deps.sh || { say "the packages of web/package-lock.json cannot be installed"; exit 1; }
