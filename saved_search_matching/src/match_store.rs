//! Records matches, and what the process that announces them decides, in one transaction.

mod new_match_rows;
mod new_matches;
mod overflow_rows;
mod search_end;

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use metrics::counter;
use processes::{
    InputSession, InstanceStore,
    saved_search_alert_process::{SavedSearchAlertProcess, SavedSearchMatch},
};
use sqlx::{PgPool, Row};
use uuid::Uuid;

use self::{
    new_match_rows::NewMatchRows,
    new_matches::{NewMatches, announcement},
    overflow_rows::OverflowRows,
    search_end::remove_ended,
};
use crate::{
    BatchMatches, MatchedOpportunity, MatchingError, SearchKey, SearchMatches, alert_window::AlertWindow,
    error::postgres_error,
};

/// Searches whose matches are recorded in one transaction.
const SEARCHES_PER_TRANSACTION: usize = 500;

/// How long matches are stored. An opportunity that is amended later than that is announced again.
pub const RETENTION_DAYS: i32 = 180;

/// Rows of a table that are removed at once.
const CLEAN_UP_ROWS: i64 = 10_000;

/// Instances of a search that may be closed within an hour.
const MAX_WINDOWS: u32 = 100;

/// Namespace of the ids of matches, which are parts of idempotency keys.
const MATCH_NAMESPACE: Uuid = Uuid::from_u128(0x6d65_6468_7562_5f73_6561_7263_685f_6d61);

/// The matches of saved searches in Postgres.
#[derive(Clone)]
pub struct MatchStore {
    pool: PgPool,
    instances: InstanceStore,
}

/// A search and an opportunity of a batch.
type MatchPair<'a> = (&'a SearchKey, &'a MatchedOpportunity);

impl MatchStore {
    /// Uses the tables behind this pool, which `medhub migrate` creates, and the instances of processes.
    pub fn new(pool: PgPool, instances: InstanceStore) -> Self {
        Self { pool, instances }
    }

    /// Records the new matches of a batch, with the commands that announce them. Matches that are already recorded
    /// change nothing, and matches of searches that have ended meanwhile are left out.
    ///
    /// # Errors
    /// [`MatchingError`] when Postgres does not answer. What was recorded before stays.
    pub async fn record_matches(
        &self,
        opportunities: &[&MatchedOpportunity],
        found: &BatchMatches,
        now: DateTime<Utc>,
    ) -> Result<(), MatchingError> {
        for chunk in found.searches.chunks(SEARCHES_PER_TRANSACTION) {
            self.record_chunk(opportunities, chunk, found.position, now).await?;
        }
        Ok(())
    }

    async fn record_chunk(
        &self,
        opportunities: &[&MatchedOpportunity],
        matches: &[SearchMatches],
        position: u64,
        now: DateTime<Utc>,
    ) -> Result<(), MatchingError> {
        let pairs = matches.iter().flat_map(|found| {
            found.opportunities.iter().filter_map(|index| Some((&found.key, *opportunities.get(*index)?)))
        });
        let known = self.load_known_pairs(&pairs.collect::<Vec<_>>()).await?;
        counter!("medhub_search_matches_total", "outcome" => "known").increment(known.len() as u64);
        let select =
            |found| NewMatches::select(found, opportunities, &known, AlertWindow::new(now, found.active_since));
        let mut new_matches: Vec<_> = matches.iter().filter_map(select).collect();
        if new_matches.is_empty() {
            return Ok(());
        }
        let mut session = self.begin_open_windows(&mut new_matches).await?;
        remove_ended(&mut session, &mut new_matches, position).await?;
        if new_matches.is_empty() {
            return Ok(session.roll_back().await?);
        }
        let mut rows = NewMatchRows::default();
        for new in &new_matches {
            let window = session.state(&new.instance_key())?;
            let recordable_matches = window.as_ref().map_or(0, SavedSearchAlertProcess::recordable_matches) as usize;
            for (id, opportunity) in new.opportunities.iter().take(recordable_matches) {
                rows.add(*id, new.found, opportunity);
            }
        }
        let inserted = rows.insert(session.connection()).await?;
        let mut announced = BTreeSet::new();
        let mut overflows = OverflowRows::default();
        for new in &new_matches {
            let key = new.instance_key();
            let mut counted = new.found.more;
            let (mut ids, mut inputs) = (vec![], vec![]);
            for (id, opportunity) in &new.opportunities {
                if !rows.contains(*id) {
                    counted += 1;
                } else if inserted.contains(id)
                    && let Some(input) = new.input(SavedSearchMatch::Opportunity(announcement(opportunity)))
                {
                    ids.push(*id);
                    inputs.push((input, new.cause(*id, opportunity)));
                }
            }
            if counted > 0
                && let Some(input) = new.input(SavedSearchMatch::More(counted))
            {
                inputs.push((input, new.cause(match_id(&new.found.key, "more"), new.first)));
                overflows.add(new.found, counted);
            }
            let commands = session.react_all(&key, &inputs)?;
            announced.extend(ids.into_iter().zip(commands).filter(|(_, count)| *count > 0).map(|(id, _)| id));
        }
        rows.mark_announced(session.connection(), &announced).await?;
        let counted = overflows.total();
        overflows.upsert(session.connection(), now).await?;
        session.commit().await?;
        for (outcome, count) in [
            ("announced", announced.len() as u64),
            ("recorded", (inserted.len() - announced.len()) as u64),
            ("counted", counted),
        ] {
            counter!("medhub_search_matches_total", "outcome" => outcome).increment(count);
        }
        Ok(())
    }

    /// Begins a transaction and ensures that each search has an open instance. A closed instance ignores inputs: an
    /// operator has cancelled it, or its hour has ended by another program's clock. Then the search gets a further one.
    async fn begin_open_windows(
        &self,
        new_matches: &mut [NewMatches<'_>],
    ) -> Result<InputSession<SavedSearchAlertProcess>, MatchingError> {
        loop {
            let windows = new_matches.iter().map(|new| (new.instance_key(), new.first.correlation_id)).collect();
            let session = self.instances.begin_inputs::<SavedSearchAlertProcess>(&windows).await?;
            let mut is_any_closed = false;
            for new in &mut *new_matches {
                let key = new.instance_key();
                if session.state(&key)?.is_some() {
                    continue;
                }
                is_any_closed = true;
                new.window.advance();
                if new.window.number() >= MAX_WINDOWS {
                    return Err(MatchingError::NoOpenWindow { tenant_id: key.tenant_id, instance_id: key.instance_id });
                }
            }
            if !is_any_closed {
                return Ok(session);
            }
            // Instances are locked in the order of their keys, so the order begins again for further instances.
            session.roll_back().await?;
        }
    }

    /// The ids of those pairs that are recorded.
    async fn load_known_pairs(&self, pairs: &[MatchPair<'_>]) -> Result<HashSet<Uuid>, MatchingError> {
        let rows = sqlx::query(include_str!("match_store/load_known.sql"))
            .bind(pairs.iter().map(|(key, _)| &*key.tenant_id).collect::<Vec<_>>())
            .bind(pairs.iter().map(|(key, _)| &*key.user_id).collect::<Vec<_>>())
            .bind(pairs.iter().map(|(key, _)| key.search_id.uuid()).collect::<Vec<_>>())
            .bind(pairs.iter().map(|(_, opportunity)| opportunity.id.as_str()).collect::<Vec<_>>())
            .fetch_all(&self.pool)
            .await
            .map_err(postgres_error("reading matches of saved searches"))?;
        let ids = rows.iter().map(|row| {
            let number: i64 = row.try_get("number")?;
            let pair = usize::try_from(number - 1).ok().and_then(|index| pairs.get(index));
            Ok(pair.map(|(key, opportunity)| match_id(key, &opportunity.id)))
        });
        let ids = ids.collect::<Result<Vec<_>, sqlx::Error>>();
        Ok(ids.map_err(postgres_error("decoding matches of saved searches"))?.into_iter().flatten().collect())
    }

    /// Removes a limited number of matches of long ago; returns how many. Zero means that none are left.
    ///
    /// # Errors
    /// [`MatchingError`] when Postgres does not answer.
    pub async fn remove_old_matches(&self) -> Result<u64, MatchingError> {
        let mut removed = 0;
        for statement in
            [include_str!("match_store/remove_old_matches.sql"), include_str!("match_store/remove_old_overflows.sql")]
        {
            let done = sqlx::query(statement)
                .bind(RETENTION_DAYS)
                .bind(CLEAN_UP_ROWS)
                .execute(&self.pool)
                .await
                .map_err(postgres_error("removing old matches of saved searches"))?;
            removed += done.rows_affected();
        }
        Ok(removed)
    }

    /// Checks that Postgres answers.
    ///
    /// # Errors
    /// [`MatchingError::Postgres`] when it does not.
    pub async fn ping(&self) -> Result<(), MatchingError> {
        let ping = sqlx::query("select 1").execute(&self.pool).await;
        ping.map(drop).map_err(postgres_error("reaching the matches of saved searches"))
    }
}

/// The id of the match of a search and a subject, the same each time.
fn match_id(search: &SearchKey, subject: &str) -> Uuid {
    let SearchKey { tenant_id, user_id, search_id } = search;
    Uuid::new_v5(&MATCH_NAMESPACE, [tenant_id, user_id, &*search_id.to_string(), subject].join("\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::watchlist::SearchId;

    use super::*;

    #[test]
    fn a_match_has_an_id_of_its_own_which_never_changes() {
        let search = |user: &str| SearchKey {
            tenant_id: Arc::from("acme"),
            user_id: Arc::from(user),
            search_id: SearchId::new(Uuid::from_u128(1)),
        };
        let id = match_id(&search("ann"), "036:A");
        assert_eq!(id, match_id(&search("ann"), "036:A"));
        assert_ne!(id, match_id(&search("ann"), "036:B"));
        assert_ne!(id, match_id(&search("bob"), "036:A"));
    }
}
