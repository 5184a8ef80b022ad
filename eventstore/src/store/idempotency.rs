//! Finds processed commands by their idempotency keys.

use cqrs_es::Aggregate;
use domain::{
    event_store::{AggregateStores, IdempotencyStore, ProcessedCommand, StoreError},
    fingerprint::Fingerprint,
};
use sqlx::Row;

use super::PgEventStore;

const FIND_PROCESSED_COMMAND: &str = include_str!("find_processed_command.sql");

impl<Any> AggregateStores for PgEventStore<Any> {
    type Store<A: Aggregate + Fingerprint> = PgEventStore<A>;

    fn store_for<A: Aggregate + Fingerprint>(&self) -> PgEventStore<A> {
        Self::store_for(self)
    }
}

impl<A> IdempotencyStore for PgEventStore<A> {
    async fn find_processed(&self, tenant_id: &str, key: &str) -> Result<Option<ProcessedCommand>, StoreError> {
        let unavailable = |error: sqlx::Error| StoreError::Unavailable(error.into());
        let row = sqlx::query(FIND_PROCESSED_COMMAND).bind(tenant_id).bind(key).fetch_optional(&self.shared.pool).await;
        let Some(row) = row.map_err(unavailable)? else { return Ok(None) };
        let processed = || {
            Ok(ProcessedCommand {
                aggregate_type: row.try_get("aggregate_type")?,
                aggregate_id: row.try_get("aggregate_id")?,
                version: row.try_get::<i64, _>("sequence")?.unsigned_abs(),
                events: usize::try_from(row.try_get::<i64, _>("events")?).unwrap_or(usize::MAX),
                digest: row.try_get("digest")?,
            })
        };
        processed().map(Some).map_err(unavailable)
    }
}
