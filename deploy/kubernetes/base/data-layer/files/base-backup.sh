#!/bin/sh
# Takes a base backup. With the segments from its start on, it restores the log to any later moment; `medhub recover` is next.
set -eu
mkdir -p /backups/base /backups/wal
target=/backups/base/$(date -u +%Y%m%dT%H%M%SZ)
rm -rf /backups/base/*.partial
pg_basebackup --pgdata "$target.partial" --format tar --gzip --checkpoint fast --wal-method none --no-password
mv "$target.partial" "$target"
