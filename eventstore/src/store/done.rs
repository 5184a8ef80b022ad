//! Commands that are on record, by the keys that their clients gave them.

use cqrs_es::Aggregate;
use domain::{
    fingerprint::Fingerprint,
    store::{AggregateStores, CommandLog, DoneCommand, StoreError},
};
use sqlx::Row;

use super::PgStore;

const DONE: &str = include_str!("done.sql");

impl<Any> AggregateStores for PgStore<Any> {
    type Store<A: Aggregate + Fingerprint> = PgStore<A>;

    fn of<A: Aggregate + Fingerprint>(&self) -> PgStore<A> {
        Self::of(self)
    }
}

impl<A> CommandLog for PgStore<A> {
    async fn done(&self, tenant_id: &str, key: &str) -> Result<Option<DoneCommand>, StoreError> {
        let unavailable = |error: sqlx::Error| StoreError::Unavailable(error.into());
        let row = sqlx::query(DONE).bind(tenant_id).bind(key).fetch_optional(&self.shared.pool).await;
        let Some(row) = row.map_err(unavailable)? else { return Ok(None) };
        let done = || {
            Ok(DoneCommand {
                aggregate_type: row.try_get("aggregate_type")?,
                aggregate_id: row.try_get("aggregate_id")?,
                version: row.try_get::<i64, _>("sequence")?.unsigned_abs(),
                events: usize::try_from(row.try_get::<i64, _>("events")?).unwrap_or(usize::MAX),
                digest: row.try_get("digest")?,
            })
        };
        done().map(Some).map_err(unavailable)
    }
}
