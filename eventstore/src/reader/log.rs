//! The log for those who must not know that Postgres holds it.

use std::time::Duration;

use domain::{
    context::Context,
    envelope::RawRecorded,
    log::{Answer, LogBatch, LogCursor, LogPart, LogReader},
    store::StoreError,
};
use sqlx::PgPool;
use uuid::Uuid;

use super::{EventFilter, Replay, ReplayOptions, completed_prefix, read_after, read_stream};
use crate::{error::LogError, incarnation, postgres::within};

/// How long an answer to a short question may take: the process of the server that has it may stand still.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The log in Postgres as a [`LogReader`].
#[derive(Debug, Clone)]
pub struct PgLog {
    pool: PgPool,
}

impl PgLog {
    /// The log behind this pool.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    async fn ask_incarnation(&self) -> Result<Uuid, LogError> {
        let mut connection = self.pool.acquire().await.map_err(crate::error::postgres("connecting"))?;
        incarnation::of(&mut connection).await
    }

    async fn ask_prefix(&self) -> Result<u64, LogError> {
        let mut connection = self.pool.acquire().await.map_err(crate::error::postgres("connecting"))?;
        completed_prefix(&mut connection).await
    }

    async fn ask_count(&self, position: u64, contexts: &[Context], limit: u64) -> Result<u64, LogError> {
        let types: Vec<&str> = contexts.iter().flat_map(|context| context.aggregate_types()).copied().collect();
        let count: i64 = sqlx::query_scalar(include_str!("count_after.sql"))
            .bind(i64::try_from(position).unwrap_or(i64::MAX))
            .bind(types)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_one(&self.pool)
            .await
            .map_err(crate::error::postgres("counting events"))?;
        Ok(count.unsigned_abs())
    }

    async fn ask_next(&self, position: u64, fence: u64, limit: u32) -> Result<Vec<RawRecorded>, LogError> {
        let mut connection = self.pool.acquire().await.map_err(crate::error::postgres("connecting"))?;
        read_after(&mut connection, position, fence, limit).await
    }

    async fn start(&self, part: LogPart) -> Result<Box<dyn LogCursor>, LogError> {
        let LogPart { contexts, aggregate_id, after, to, batch_events, batch_bytes } = part;
        let filter = EventFilter { contexts, aggregate_id, ..EventFilter::default() };
        let options =
            ReplayOptions { filter, after, to: Some(to), batch_events, batch_bytes, ..ReplayOptions::default() };
        Ok(Box::new(Replay::start(&self.pool, options).await?))
    }
}

impl LogReader for PgLog {
    fn incarnation(&self) -> Answer<'_, Uuid> {
        let asked = within(ANSWER_WITHIN, "reading which log this is", self.ask_incarnation());
        Box::pin(async { asked.await.map_err(unavailable) })
    }

    fn completed_prefix(&self) -> Answer<'_, u64> {
        let asked = within(ANSWER_WITHIN, "asking how far the log is complete", self.ask_prefix());
        Box::pin(async { asked.await.map_err(unavailable) })
    }

    fn count_after(&self, position: u64, contexts: &'static [Context], limit: u64) -> Answer<'_, u64> {
        Box::pin(async move { self.ask_count(position, contexts, limit).await.map_err(unavailable) })
    }

    fn next_after(&self, position: u64, fence: u64, limit: u32) -> Answer<'_, Vec<RawRecorded>> {
        let asked = within(ANSWER_WITHIN, "reading the next events", self.ask_next(position, fence, limit));
        Box::pin(async { asked.await.map_err(unavailable) })
    }

    fn of_stream<'a>(
        &'a self,
        aggregate_type: &'a str,
        aggregate_id: &'a str,
        after: u64,
        limit: u32,
    ) -> Answer<'a, Vec<RawRecorded>> {
        Box::pin(async move {
            let mut connection = self.pool.acquire().await.map_err(|error| StoreError::Unavailable(error.into()))?;
            let stream = read_stream(&mut connection, aggregate_type, aggregate_id, after, limit).await;
            stream.map_err(unavailable)
        })
    }

    fn read(&self, part: LogPart) -> Answer<'_, Box<dyn LogCursor>> {
        Box::pin(async move { self.start(part).await.map_err(unavailable) })
    }
}

impl LogCursor for Replay {
    fn next(&mut self) -> Answer<'_, Option<LogBatch>> {
        Box::pin(async move {
            let batch = self.next_batch().await.map_err(unavailable)?;
            Ok(batch.map(|batch| LogBatch { events: batch.events, watermark: batch.watermark }))
        })
    }
}

fn unavailable(error: LogError) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}
