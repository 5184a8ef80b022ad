#!/bin/sh
# Moves archived segments and finished base backups to the bucket. A file is removed here once it is there.
set -eu
rclone move /backups/wal "backups:${BACKUP_BUCKET}/postgres/wal" --exclude '.*' --min-age 5s
rclone move /backups/base "backups:${BACKUP_BUCKET}/postgres/base" --exclude '*.partial/**' --delete-empty-src-dirs
mkdir -p /backups/base
