//! Appends facts: events whose id is a digest of their content, so that no stream has to be read first.
//!
//! Nearly always all facts of a batch are new. The database function `append_new_facts` gives each the sequence after its stream's
//! last event and inserts them, in one round trip; or it appends none, because one is recorded already or its stream is full.
//! Then `append_facts` appends the others and answers which these are. Two concurrent appends to one stream choose the
//! same sequence; the unique keys accept one of them, and the other one fails as a conflict, to be retried.

use std::collections::HashSet;

use domain::event_store::{FactOutcome, FactStore, NewFact, StoreError};

use super::{PgBatchStore, fact_columns::FactColumns, is_retryable_conflict, to_store_error};

/// Postgres' error code for a duplicate key, and the index that makes facts unique.
const UNIQUE_VIOLATION: &str = "23505";
const FACT_KEY: &str = "events_fact_id";

const APPEND_NEW_FACTS: &str = "select append_new_facts($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
const APPEND_FACTS: &str = "select place, outcome from append_facts($1, $2, $3, $4, $5, $6, $7)";
const FIND_STREAMS: &str = "select id from streams_on_record($1, $2) as id";

impl FactStore for PgBatchStore {
    async fn append_facts(&self, facts: &[NewFact], stream_events: u64) -> Result<Vec<FactOutcome>, StoreError> {
        let mut outcomes = vec![FactOutcome::Recorded; facts.len()];
        let columns = FactColumns::from_facts(facts, &mut outcomes);
        if columns.is_empty() {
            return Ok(outcomes);
        }
        let metadata = columns.metadata_texts().map_err(|error| StoreError::Unavailable(error.into()))?;
        let stream_events = i64::try_from(stream_events).unwrap_or(i64::MAX);
        if self.append_new_facts(&columns, &metadata, stream_events).await? {
            return Ok(outcomes);
        }
        for (row, outcome) in self.append_unrecorded_facts(&columns, &metadata, stream_events).await? {
            if let Some(skipped) = columns.fact_index(row).and_then(|index| outcomes.get_mut(index)) {
                *skipped = outcome;
            }
        }
        Ok(outcomes)
    }

    async fn existing_streams(
        &self,
        aggregate_type: &'static str,
        aggregate_ids: &[String],
    ) -> Result<HashSet<String>, StoreError> {
        let query = sqlx::query_scalar::<_, String>(FIND_STREAMS).bind(aggregate_type).bind(aggregate_ids);
        Ok(query.fetch_all(&self.pool).await.map_err(to_store_error)?.into_iter().collect())
    }
}

impl PgBatchStore {
    /// Appends all facts, or none if one of them is recorded already or would be beyond `stream_events` events of its
    /// stream. Returns whether they are appended.
    async fn append_new_facts(
        &self,
        columns: &FactColumns<'_>,
        metadata: &[String],
        stream_events: i64,
    ) -> Result<bool, StoreError> {
        let (types, versions): (Vec<_>, Vec<_>) = columns.event_types.values.iter().copied().unzip();
        // `fetch_all` reads until the server is ready again, so a commit that fails after the insert is also an error.
        let appended = sqlx::query_scalar::<_, bool>(APPEND_NEW_FACTS)
            .bind(&columns.ids)
            .bind(&columns.payloads)
            .bind(&columns.streams.values)
            .bind(&columns.stream_counts)
            .bind(&columns.streams.numbers)
            .bind(&columns.ordinals)
            .bind(types)
            .bind(versions)
            .bind(&columns.event_types.numbers)
            .bind(metadata)
            .bind(&columns.metadata.numbers)
            .bind(stream_events)
            .fetch_all(&self.pool)
            .await;
        Ok(appended.map_err(append_error)? == [true])
    }

    /// Appends the facts that are new and whose streams have room. Returns the others, by the number of their row from 1.
    async fn append_unrecorded_facts(
        &self,
        columns: &FactColumns<'_>,
        metadata: &[String],
        stream_events: i64,
    ) -> Result<Vec<(i64, FactOutcome)>, StoreError> {
        let (types, versions): (Vec<_>, Vec<_>) =
            columns.event_types.expand(&columns.event_types.values).into_iter().unzip();
        let metadata: Vec<_> = metadata.iter().map(String::as_str).collect();
        let skipped = sqlx::query_as::<_, (i64, String)>(APPEND_FACTS)
            .bind(&columns.ids)
            .bind(columns.streams.expand(&columns.streams.values))
            .bind(types)
            .bind(versions)
            .bind(&columns.payloads)
            .bind(columns.metadata.expand(&metadata))
            .bind(stream_events)
            .fetch_all(&self.pool)
            .await
            .map_err(append_error)?;
        let outcome = |reason: String| if reason == "full" { FactOutcome::StreamFull } else { FactOutcome::Known };
        Ok(skipped.into_iter().map(|(row, reason)| (row, outcome(reason))).collect())
    }
}

fn append_error(error: sqlx::Error) -> StoreError {
    let sqlx::Error::Database(error) = error else { return to_store_error(error) };
    let is_duplicate = error.code().as_deref() == Some(UNIQUE_VIOLATION) && error.constraint() == Some(FACT_KEY);
    if is_duplicate || is_retryable_conflict(error.downcast_ref()) {
        StoreError::Conflict
    } else {
        to_store_error(sqlx::Error::Database(error))
    }
}
