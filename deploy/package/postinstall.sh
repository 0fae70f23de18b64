#!/bin/sh
# The user, and the units. Nothing is started: which roles this machine plays is the operator's choice.
set -e
if command -v systemd-sysusers >/dev/null 2>&1; then
  systemd-sysusers cometmq.conf
elif command -v adduser >/dev/null 2>&1 && ! getent passwd cometmq >/dev/null; then
  adduser --system --group --home /var/lib/cometmq --no-create-home cometmq
fi
if getent group cometmq >/dev/null; then chgrp cometmq /etc/cometmq && chmod 0775 /etc/cometmq; fi
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  # After an upgrade: what runs goes on with the new program.
  for u in $(systemctl list-units --plain --no-legend 'cometmq*.service' | cut -d' ' -f1); do systemctl try-restart "$u" || true; done
fi
