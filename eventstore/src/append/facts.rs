//! Appends facts: events whose id is a digest of their content, so that no stream has to be read first.
//!
//! The database function `append_facts` skips facts that are recorded already, assigns each of the others the sequence
//! after its stream's last event, and inserts them, in one round trip. Two concurrent appends to one stream choose the
//! same sequence; the unique keys accept one of them, and the other one fails as a conflict, to be retried.

use std::collections::HashSet;

use domain::event_store::{FactOutcome, FactStore, NewFact, StoreError};
use sqlx::Row;
use uuid::Uuid;

use super::{MetadataJson, PgBatchStore, is_retryable_conflict, to_store_error};

/// Postgres' error code for a duplicate key, and the index that makes facts unique.
const UNIQUE_VIOLATION: &str = "23505";
const FACT_KEY: &str = "events_fact_id";

const APPEND_FACTS: &str = "select place, outcome from append_facts($1, $2, $3, $4, $5, $6, $7)";
const FIND_STREAMS: &str = "select id from streams_on_record($1, $2) as id";

impl FactStore for PgBatchStore {
    async fn append_facts(&self, facts: &[NewFact], stream_events: u64) -> Result<Vec<FactOutcome>, StoreError> {
        let mut outcomes = vec![FactOutcome::Recorded; facts.len()];
        let columns = FactColumns::from_facts(facts, &mut outcomes)?;
        if columns.ids.is_empty() {
            return Ok(outcomes);
        }
        // `fetch_all` reads until the server is ready again, so a commit that fails after the insert is also an error.
        let appended = sqlx::query(APPEND_FACTS)
            .bind(&columns.ids)
            .bind(&columns.streams)
            .bind(&columns.types)
            .bind(&columns.versions)
            .bind(&columns.payloads)
            .bind(&columns.metadata)
            .bind(i64::try_from(stream_events).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await;
        let skipped = match appended {
            Ok(rows) => rows,
            Err(sqlx::Error::Database(error)) => {
                let is_duplicate =
                    error.code().as_deref() == Some(UNIQUE_VIOLATION) && error.constraint() == Some(FACT_KEY);
                let is_retryable = is_duplicate || is_retryable_conflict(error.downcast_ref());
                return Err(if is_retryable {
                    StoreError::Conflict
                } else {
                    to_store_error(sqlx::Error::Database(error))
                });
            }
            Err(error) => return Err(to_store_error(error)),
        };
        for row in skipped {
            let (ordinality, reason): (i64, &str) =
                (row.try_get("place").map_err(to_store_error)?, row.try_get("outcome").map_err(to_store_error)?);
            let fact = usize::try_from(ordinality - 1).ok().and_then(|index| columns.fact_indexes.get(index));
            if let Some(outcome) = fact.and_then(|fact| outcomes.get_mut(*fact)) {
                *outcome = if reason == "full" { FactOutcome::StreamFull } else { FactOutcome::Known };
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

/// Facts as one array per column, the form that `unnest` takes.
struct FactColumns<'a> {
    ids: Vec<Uuid>,
    streams: Vec<&'a str>,
    types: Vec<&'a str>,
    versions: Vec<&'a str>,
    payloads: Vec<&'a str>,
    metadata: Vec<String>,
    /// For each row, the index of its fact.
    fact_indexes: Vec<usize>,
}

impl<'a> FactColumns<'a> {
    /// Skips repeated facts and sets their outcome to [`FactOutcome::Known`].
    fn from_facts(facts: &'a [NewFact], outcomes: &mut [FactOutcome]) -> Result<Self, StoreError> {
        let metadata_json = MetadataJson::from_metadata(facts.iter().map(|fact| &fact.metadata))
            .map_err(|error| StoreError::Unavailable(error.into()))?;
        let mut columns = Self {
            ids: Vec::with_capacity(facts.len()),
            streams: Vec::with_capacity(facts.len()),
            types: Vec::with_capacity(facts.len()),
            versions: Vec::with_capacity(facts.len()),
            payloads: Vec::with_capacity(facts.len()),
            metadata: Vec::with_capacity(facts.len()),
            fact_indexes: Vec::with_capacity(facts.len()),
        };
        let mut seen = HashSet::with_capacity(facts.len());
        for ((index, fact), fact_metadata) in facts.iter().enumerate().zip(metadata_json.texts()) {
            if !seen.insert(fact.event_id) {
                if let Some(outcome) = outcomes.get_mut(index) {
                    *outcome = FactOutcome::Known;
                }
                continue;
            }
            columns.ids.push(fact.event_id);
            columns.streams.push(&fact.aggregate_id);
            columns.types.push(&fact.event_type);
            columns.versions.push(&fact.event_version);
            columns.payloads.push(&fact.payload);
            columns.metadata.push(fact_metadata.to_owned());
            columns.fact_indexes.push(index);
        }
        Ok(columns)
    }
}
