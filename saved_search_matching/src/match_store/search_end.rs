//! What is done about searches that have ended: their matches are neither announced nor recorded.

use std::{collections::BTreeSet, sync::Arc};

use processes::{
    AnyProcess, InputSession, InstanceKey, InstanceStoreError, Process as _,
    saved_search_alert_process::SavedSearchAlertProcess,
};

use super::{MatchStore, new_matches::NewMatches};
use crate::{
    EndedSearches, MatchingError, alert_window::instance_id_range, error::postgres_error,
    search_registry::event_from_row,
};

/// Events of ended searches that are read at once.
const ENDED_EVENTS: i64 = 1_000;

/// Matches that one statement removes: Postgres ends a statement that takes too long.
const REMOVED_ROWS: i64 = 10_000;

/// Lock of those who record matches, shared, and of those who end searches.
const RECORDING_LOCK: i64 = 0x6d65_6468_7562_736d;

/// How long ending a search waits for those who record matches.
const LOCK_TIMEOUT: &str = "set local lock_timeout = '5s'";

impl MatchStore {
    /// Forgets what is still to be announced of searches that have ended.
    ///
    /// # Errors
    /// [`MatchingError`] when Postgres does not answer.
    pub async fn end_searches(&self, ended: &EndedSearches) -> Result<(), MatchingError> {
        let Some(process) = find_process() else { return Ok(()) };
        self.wait_for_recording().await?;
        let (from, to) = instance_id_range(ended.user_id.as_deref(), ended.search.as_ref());
        let open: Vec<String> = sqlx::query_scalar(include_str!("open_windows.sql"))
            .bind(SavedSearchAlertProcess::NAME)
            .bind(&ended.tenant_id)
            .bind(from)
            .bind(to)
            .bind(&ended.user_id)
            .bind(ended.at)
            .fetch_all(&self.pool)
            .await
            .map_err(postgres_error("reading open alerts of searches"))?;
        for instance_id in open {
            let key = InstanceKey { tenant_id: ended.tenant_id.clone(), instance_id };
            match self.instances.cancel_instance(process.as_ref(), &key, "the search has ended").await {
                // Its hour has ended meanwhile.
                Ok(()) | Err(InstanceStoreError::NotOpen { .. } | InstanceStoreError::NoInstance { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        for statement in [include_str!("remove_ended_matches.sql"), include_str!("remove_ended_overflows.sql")] {
            while self.remove_ended_rows(statement, ended).await? > 0 {}
        }
        Ok(())
    }

    /// Removes a portion of what ended searches have found, and returns its size; 0 when nothing is left.
    async fn remove_ended_rows(&self, statement: &'static str, ended: &EndedSearches) -> Result<u64, MatchingError> {
        let removed = sqlx::query(statement)
            .bind(&ended.tenant_id)
            .bind(&ended.user_id)
            .bind(ended.search.as_ref().map(|search| search.search_id.uuid()))
            .bind(ended.at)
            .bind(REMOVED_ROWS)
            .execute(&self.pool)
            .await
            .map_err(postgres_error("removing matches of searches that have ended"))?;
        Ok(removed.rows_affected())
    }

    /// Waits for the transactions that record matches at present. Transactions that begin later see in the log that the
    /// searches have ended; matches of earlier ones are found and removed.
    async fn wait_for_recording(&self) -> Result<(), MatchingError> {
        let doing = "waiting for matches that are being recorded";
        let mut transaction = self.pool.begin().await.map_err(postgres_error(doing))?;
        sqlx::query(LOCK_TIMEOUT).execute(&mut *transaction).await.map_err(postgres_error(doing))?;
        sqlx::query("select pg_advisory_xact_lock($1)")
            .bind(RECORDING_LOCK)
            .execute(&mut *transaction)
            .await
            .map_err(postgres_error(doing))?;
        transaction.rollback().await.map_err(postgres_error(doing))
    }
}

/// Removes the matches of searches that have ended since this position of the log, and prevents others from ending any
/// until the transaction is over.
pub(super) async fn remove_ended(
    session: &mut InputSession<SavedSearchAlertProcess>,
    new_matches: &mut Vec<NewMatches<'_>>,
    mut position: u64,
) -> Result<(), MatchingError> {
    sqlx::query("select pg_advisory_xact_lock_shared($1)")
        .bind(RECORDING_LOCK)
        .execute(session.connection())
        .await
        .map_err(postgres_error("locking the recording of matches"))?;
    let tenants: BTreeSet<Arc<str>> = new_matches.iter().map(|new| Arc::clone(&new.found.key.tenant_id)).collect();
    let tenants: Vec<&str> = tenants.iter().map(|tenant| &**tenant).collect();
    loop {
        let rows = sqlx::query(include_str!("load_ended.sql"))
            .bind(i64::try_from(position).unwrap_or(i64::MAX))
            .bind(&tenants)
            .bind(ENDED_EVENTS)
            .fetch_all(session.connection())
            .await
            .map_err(postgres_error("reading which searches have ended"))?;
        let events = rows.iter().map(event_from_row).collect::<Result<Vec<_>, _>>();
        let events = events.map_err(postgres_error("decoding which searches have ended"))?;
        for event in &events {
            if let Some(ended) = EndedSearches::from_event(event)? {
                new_matches.retain(|new| !ended.contains(&new.found.key));
            }
        }
        match events.last() {
            Some(last) if i64::try_from(events.len()).is_ok_and(|count| count >= ENDED_EVENTS) => {
                position = last.position;
            }
            _ => return Ok(()),
        }
    }
}

fn find_process() -> Option<Arc<dyn AnyProcess>> {
    processes::all_processes().into_iter().find(|process| process.name() == SavedSearchAlertProcess::NAME)
}
