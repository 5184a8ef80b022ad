//! Implements the domain's traits for reading the log, so that other crates do not depend on Postgres.

use std::time::Duration;

use domain::{
    context::BoundedContext,
    envelope::RawEnvelope,
    event_store::StoreError,
    log_reader::{LogBatch, LogBatchReader, LogFuture, LogRange, LogReader},
};
use sqlx::PgPool;
use uuid::Uuid;

use super::{EventFilter, LogReplay, ReplayOptions, load_fence, read_after, read_stream, read_type};
use crate::{error::LogError, incarnation, postgres::with_timeout};

/// Time limit of a short query: a server process may hang with its connection open.
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

/// The log in Postgres as a [`LogReader`].
#[derive(Debug, Clone)]
pub struct PgLogReader {
    pool: PgPool,
}

impl PgLogReader {
    /// Creates a reader of the log in the database of `pool`.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    async fn load_incarnation(&self) -> Result<Uuid, LogError> {
        let mut connection = self.pool.acquire().await.map_err(crate::error::postgres_error("connecting"))?;
        incarnation::load_incarnation(&mut connection).await
    }

    async fn query_fence(&self) -> Result<u64, LogError> {
        let mut connection = self.pool.acquire().await.map_err(crate::error::postgres_error("connecting"))?;
        load_fence(&mut connection).await
    }

    async fn count_events_after(
        &self,
        position: u64,
        contexts: &[BoundedContext],
        limit: u64,
    ) -> Result<u64, LogError> {
        let types: Vec<&str> = contexts.iter().flat_map(|context| context.aggregate_types()).copied().collect();
        let count: i64 = sqlx::query_scalar(include_str!("count_after.sql"))
            .bind(i64::try_from(position).unwrap_or(i64::MAX))
            .bind(types)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_one(&self.pool)
            .await
            .map_err(crate::error::postgres_error("counting events"))?;
        Ok(count.unsigned_abs())
    }

    async fn read_next_events(&self, position: u64, fence: u64, limit: u32) -> Result<Vec<RawEnvelope>, LogError> {
        let mut connection = self.pool.acquire().await.map_err(crate::error::postgres_error("connecting"))?;
        read_after(&mut connection, position, fence, limit).await
    }

    async fn count_events_of(&self, aggregate_type: &str) -> Result<u64, LogError> {
        let count: i64 = sqlx::query_scalar("select count(*) from events where aggregate_type = $1")
            .bind(aggregate_type)
            .fetch_one(&self.pool)
            .await
            .map_err(crate::error::postgres_error("counting the events of a type"))?;
        Ok(count.unsigned_abs())
    }

    async fn read_events_of(
        &self,
        aggregate_type: &str,
        after: (&str, u64),
        limit: u32,
    ) -> Result<Vec<RawEnvelope>, LogError> {
        let mut connection = self.pool.acquire().await.map_err(crate::error::postgres_error("connecting"))?;
        read_type(&mut connection, aggregate_type, after, limit).await
    }

    async fn start_replay(&self, range: LogRange) -> Result<Box<dyn LogBatchReader>, LogError> {
        let LogRange { contexts, aggregate_id, after, to, batch_events, batch_bytes } = range;
        let filter = EventFilter { contexts, aggregate_id, ..EventFilter::default() };
        let options =
            ReplayOptions { filter, after, to: Some(to), batch_events, batch_bytes, ..ReplayOptions::default() };
        Ok(Box::new(LogReplay::start(&self.pool, options).await?))
    }
}

impl LogReader for PgLogReader {
    fn incarnation(&self) -> LogFuture<'_, Uuid> {
        let query = with_timeout(QUERY_TIMEOUT, "reading the log's incarnation", self.load_incarnation());
        Box::pin(async { query.await.map_err(to_store_error) })
    }

    fn load_fence(&self) -> LogFuture<'_, u64> {
        let query = with_timeout(QUERY_TIMEOUT, "reading the fence", self.query_fence());
        Box::pin(async { query.await.map_err(to_store_error) })
    }

    fn count_after(&self, position: u64, contexts: &'static [BoundedContext], limit: u64) -> LogFuture<'_, u64> {
        Box::pin(async move { self.count_events_after(position, contexts, limit).await.map_err(to_store_error) })
    }

    fn load_after(&self, position: u64, fence: u64, limit: u32) -> LogFuture<'_, Vec<RawEnvelope>> {
        let query =
            with_timeout(QUERY_TIMEOUT, "reading the next events", self.read_next_events(position, fence, limit));
        Box::pin(async { query.await.map_err(to_store_error) })
    }

    fn load_stream<'a>(
        &'a self,
        aggregate_type: &'a str,
        aggregate_id: &'a str,
        after: u64,
        limit: u32,
    ) -> LogFuture<'a, Vec<RawEnvelope>> {
        Box::pin(async move {
            let mut connection = self.pool.acquire().await.map_err(|error| StoreError::Unavailable(error.into()))?;
            let stream = read_stream(&mut connection, aggregate_type, aggregate_id, after, limit).await;
            stream.map_err(to_store_error)
        })
    }

    fn count_type<'a>(&'a self, aggregate_type: &'a str) -> LogFuture<'a, u64> {
        let query = with_timeout(QUERY_TIMEOUT, "counting the events of a type", self.count_events_of(aggregate_type));
        Box::pin(async { query.await.map_err(to_store_error) })
    }

    fn load_type<'a>(
        &'a self,
        aggregate_type: &'a str,
        after: (&'a str, u64),
        limit: u32,
    ) -> LogFuture<'a, Vec<RawEnvelope>> {
        let query = self.read_events_of(aggregate_type, after, limit);
        let query = with_timeout(QUERY_TIMEOUT, "reading the events of a type", query);
        Box::pin(async { query.await.map_err(to_store_error) })
    }

    fn read_batches(&self, range: LogRange) -> LogFuture<'_, Box<dyn LogBatchReader>> {
        Box::pin(async move { self.start_replay(range).await.map_err(to_store_error) })
    }
}

impl LogBatchReader for LogReplay {
    fn read_next_batch(&mut self) -> LogFuture<'_, Option<LogBatch>> {
        Box::pin(async move {
            let batch = self.next_batch().await.map_err(to_store_error)?;
            Ok(batch.map(|batch| LogBatch { events: batch.events, watermark: batch.watermark }))
        })
    }
}

fn to_store_error(error: LogError) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}
