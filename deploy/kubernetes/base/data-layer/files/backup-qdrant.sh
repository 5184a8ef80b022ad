#!/bin/sh
# Asks for a snapshot of every collection, which the server writes into the bucket itself.
set -eu
api=http://qdrant:6333
collections=$(curl --fail --silent --show-error "$api/collections" | tr ',{}[]' '\n\n\n\n\n' | sed -n 's/^"name":"\(.*\)"$/\1/p')
for collection in $collections; do
  curl --fail --silent --show-error --request POST "$api/collections/$collection/snapshots?wait=true"
done
