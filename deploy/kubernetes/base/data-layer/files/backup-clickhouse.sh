#!/bin/sh
# A copy of the analysts' tables in the bucket, so that figures older than the retention of raw events survive the loss of the
# volume: a rebuild has them from the log, but takes longer.
set -eu
clickhouse-client --host clickhouse --user medhub --password "$CLICKHOUSE_PASSWORD" --query "
  BACKUP ALL EXCEPT DATABASES system, information_schema, INFORMATION_SCHEMA
  TO S3('${BACKUP_ENDPOINT}/${BACKUP_BUCKET}/clickhouse/$(date -u +%Y%m%dT%H%M%SZ)', '${AWS_ACCESS_KEY_ID}', '${AWS_SECRET_ACCESS_KEY}')"
