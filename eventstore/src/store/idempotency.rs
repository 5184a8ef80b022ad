//! Finds processed commands by their idempotency keys.

use std::collections::HashMap;

use cqrs_es::Aggregate;
use domain::{
    event_store::{AggregateStores, IdempotencyStore, ProcessedCommand, StoreError},
    fingerprint::Fingerprint,
};
use sqlx::{Row, postgres::PgRow};

use super::PgEventStore;

const FIND_PROCESSED_COMMANDS: &str = include_str!("find_processed_commands.sql");

impl<Any> AggregateStores for PgEventStore<Any> {
    type Store<A: Aggregate + Fingerprint> = PgEventStore<A>;

    fn store_for<A: Aggregate + Fingerprint>(&self) -> PgEventStore<A> {
        Self::store_for(self)
    }
}

impl<A> IdempotencyStore for PgEventStore<A> {
    async fn find_processed(
        &self,
        tenant_id: &str,
        keys: &[&str],
    ) -> Result<HashMap<String, ProcessedCommand>, StoreError> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = sqlx::query(FIND_PROCESSED_COMMANDS).bind(tenant_id).bind(keys).fetch_all(&self.shared.pool).await;
        let processed = rows.and_then(|rows| rows.iter().map(processed_from_row).collect());
        processed.map_err(|error| StoreError::Unavailable(error.into()))
    }
}

fn processed_from_row(row: &PgRow) -> Result<(String, ProcessedCommand), sqlx::Error> {
    let processed = ProcessedCommand {
        aggregate_type: row.try_get("aggregate_type")?,
        aggregate_id: row.try_get("aggregate_id")?,
        version: row.try_get::<i64, _>("sequence")?.unsigned_abs(),
        events: usize::try_from(row.try_get::<i64, _>("events")?).unwrap_or(usize::MAX),
        digest: row.try_get("digest")?,
    };
    Ok((row.try_get("key")?, processed))
}
