#!/usr/bin/env bash
# Installs the pinned packages once per lock file and machine, into the user's cache, and links node_modules to them: a
# fresh clone or worktree is ready in a second.
set -euo pipefail
cd "$(dirname "$0")/.."
key=$(cat package.json package-lock.json .npmrc | sha256sum | cut -c1-16)
root="${XDG_CACHE_HOME:-$HOME/.cache}/cometmq-web"
if [ ! -d "$root/$key" ]; then
  mkdir -p "$root"
  tmp=$(mktemp -d "$root/tmp.XXXXXX")
  trap 'rm -rf "$tmp"' EXIT
  cp package.json package-lock.json .npmrc "$tmp"
  (cd "$tmp" && npm ci --ignore-scripts --prefer-offline --loglevel=error)
  # Another clone may have been quicker: then its copy is used.
  mv -T "$tmp" "$root/$key" 2>/dev/null || [ -d "$root/$key" ]
fi
[ -L node_modules ] || rm -rf node_modules
ln -sfn "$root/$key/node_modules" node_modules
