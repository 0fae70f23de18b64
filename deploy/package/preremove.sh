#!/bin/sh
# deb: remove, upgrade; rpm: how many stay, 0 when it is removed.
set -e
case "$1" in
remove | 0)
  if [ -d /run/systemd/system ]; then
    for u in $(systemctl list-units --plain --no-legend 'cometmq*.service' | cut -d' ' -f1); do systemctl --no-reload disable --now "$u" || true; done
  fi
  ;;
esac
