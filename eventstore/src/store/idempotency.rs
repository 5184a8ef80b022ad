//! Finds processed commands by their idempotency keys: one statement looks up all keys that are requested at the same
//! time.

use std::{collections::HashMap, io::ErrorKind, sync::Arc};

use cqrs_es::Aggregate;
use domain::{
    event_store::{AggregateStores, IdempotencyStore, ProcessedCommand, StoreError},
    fingerprint::Fingerprint,
};
use sqlx::{PgPool, Row, postgres::PgRow};
use tokio::sync::oneshot;

use super::{
    PgEventStore,
    connection::DedicatedConnection,
    error::LoadError,
    group_queue::{GroupHandler, GroupJob, GroupQueue, JobSize, QueueLimits, QueuePermit},
};
use crate::postgres::with_append_timeout;

const FIND_PROCESSED_COMMANDS: &str = include_str!("find_processed_commands.sql");

/// Processed commands by key.
type ProcessedCommands = HashMap<String, ProcessedCommand>;

impl<Any> AggregateStores for PgEventStore<Any> {
    type Store<A: Aggregate + Fingerprint> = PgEventStore<A>;

    fn store_for<A: Aggregate + Fingerprint>(&self) -> PgEventStore<A> {
        Self::store_for(self)
    }
}

impl<A> IdempotencyStore for PgEventStore<A> {
    async fn find_processed(&self, tenant_id: &str, keys: &[&str]) -> Result<ProcessedCommands, StoreError> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let found = self.shared.processed_commands.find(tenant_id, keys).await;
        found.map_err(|error| StoreError::Unavailable(error.into()))
    }
}

/// Why keys were not looked up.
#[derive(Debug, Clone, thiserror::Error)]
enum KeyLookupError {
    #[error("looking up idempotency keys")]
    Unavailable(#[source] Arc<sqlx::Error>),
    /// The task that looks them up ended without an answer: a defect of this program.
    #[error("looking up idempotency keys: the task failed")]
    TaskFailed,
}

/// The keys of one call, and the channel that returns the result to the caller.
struct QueuedLookup {
    tenant_id: String,
    keys: Vec<String>,
    result: oneshot::Sender<Result<ProcessedCommands, KeyLookupError>>,
    _permit: QueuePermit,
}

impl GroupJob for QueuedLookup {
    fn size(&self) -> JobSize {
        JobSize { rows: self.keys.len(), bytes: count_bytes(&self.keys) }
    }
}

fn count_bytes<T: AsRef<str>>(keys: &[T]) -> usize {
    keys.iter().map(|key| key.as_ref().len()).sum()
}

/// Looks up the keys of many commands by one statement.
pub(super) struct ProcessedCommandFinder {
    queue: GroupQueue<LookupHandler>,
}

impl ProcessedCommandFinder {
    pub(super) fn new(pool: &PgPool, limits: QueueLimits) -> Self {
        Self { queue: GroupQueue::new(pool, limits, LookupHandler) }
    }

    async fn find(&self, tenant_id: &str, keys: &[&str]) -> Result<ProcessedCommands, KeyLookupError> {
        let permit = self.queue.acquire_permit(count_bytes(keys)).await;
        let (result, receiver) = oneshot::channel();
        let keys = keys.iter().map(|&key| key.to_owned()).collect();
        self.queue.push(QueuedLookup { tenant_id: tenant_id.to_owned(), keys, result, _permit: permit });
        receiver.await.unwrap_or(Err(KeyLookupError::TaskFailed))
    }
}

struct LookupHandler;

impl GroupHandler for LookupHandler {
    type Job = QueuedLookup;

    async fn run_group(&self, connection: &mut DedicatedConnection, group: Vec<QueuedLookup>) -> Vec<QueuedLookup> {
        let mut found = find_group(connection, &group).await;
        if found.as_ref().is_err_and(is_worth_repeating) {
            // Reading is idempotent, and after a restart of the server a new connection works.
            found = find_group(connection, &group).await;
        }
        match found {
            Ok(found) => {
                for (lookup, processed) in group.into_iter().zip(found) {
                    complete_lookup(lookup, Ok(processed));
                }
            }
            Err(error) => {
                let error = Arc::new(error);
                for lookup in group {
                    complete_lookup(lookup, Err(KeyLookupError::Unavailable(Arc::clone(&error))));
                }
            }
        }
        Vec::new()
    }
}

fn complete_lookup(lookup: QueuedLookup, result: Result<ProcessedCommands, KeyLookupError>) {
    // The caller may have been cancelled.
    let _unreceived = lookup.result.send(result);
}

/// Whether the statement may succeed on another connection. Not after a time-out: callers have waited long enough, and
/// others wait behind them.
fn is_worth_repeating(error: &sqlx::Error) -> bool {
    let is_timeout = matches!(error, sqlx::Error::Io(cause) if cause.kind() == ErrorKind::TimedOut);
    !is_timeout && LoadError::is_connection_lost(error)
}

/// The processed commands of each lookup, in the order of the group.
async fn find_group(
    connection: &mut DedicatedConnection,
    group: &[QueuedLookup],
) -> Result<Vec<ProcessedCommands>, sqlx::Error> {
    let (mut places, mut tenant_ids, mut keys) = (vec![], vec![], vec![]);
    for (place, lookup) in (0_i64..).zip(group) {
        for key in &lookup.keys {
            places.push(place);
            tenant_ids.push(lookup.tenant_id.as_str());
            keys.push(key.as_str());
        }
    }
    let query = sqlx::query(FIND_PROCESSED_COMMANDS).bind(places).bind(tenant_ids).bind(keys);
    let rows = with_append_timeout(query.fetch_all(connection.ready_connection().await?)).await;
    if rows.is_err() {
        connection.reset();
    }
    let mut found: Vec<ProcessedCommands> = std::iter::repeat_with(HashMap::new).take(group.len()).collect();
    for row in rows? {
        let place = usize::try_from(row.try_get::<i64, _>("place")?).unwrap_or(usize::MAX);
        if let Some(processed) = found.get_mut(place) {
            processed.insert(row.try_get("key")?, processed_from_row(&row)?);
        }
    }
    Ok(found)
}

fn processed_from_row(row: &PgRow) -> Result<ProcessedCommand, sqlx::Error> {
    Ok(ProcessedCommand {
        aggregate_type: row.try_get("aggregate_type")?,
        aggregate_id: row.try_get("aggregate_id")?,
        version: row.try_get::<i64, _>("sequence")?.unsigned_abs(),
        events: usize::try_from(row.try_get::<i64, _>("events")?).unwrap_or(usize::MAX),
        digest: row.try_get("digest")?,
    })
}
