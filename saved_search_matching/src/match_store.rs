//! Records matches, and what the process that announces them decides, in one transaction.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use domain::{value::UserId, watchlist::SearchId};
use metrics::counter;
use processes::{
    AnyProcess, InputCause, InstanceKey, InstanceStore, InstanceStoreError, Process as _,
    saved_search_alerts::{
        AlertedSearch, MAX_RECORDED_PER_HOUR, MatchAnnouncement, SavedSearchAlertInput, SavedSearchAlerts,
        SavedSearchMatch,
    },
};
use sqlx::{PgConnection, PgPool, Row};
use uuid::Uuid;

use crate::{
    MatchedOpportunity, MatchingError, SearchKey, SearchMatches,
    alert_window_key::{alert_window_key, alert_window_prefix, hour_name},
    error::postgres_error,
};

/// Searches whose matches are recorded in one transaction.
const SEARCHES_PER_TRANSACTION: usize = 500;

/// How long matches are stored. An opportunity that is amended later than that is announced again.
const RETENTION_DAYS: i32 = 180;

/// Rows that one clean-up removes at most.
const CLEAN_UP_ROWS: i64 = 10_000;

/// Namespace of the ids of matches, which are parts of idempotency keys.
const MATCH_NAMESPACE: Uuid = Uuid::from_u128(0x6d65_6468_7562_5f73_6561_7263_685f_6d61);

/// The matches of saved searches in Postgres.
#[derive(Clone)]
pub struct MatchStore {
    pool: PgPool,
    instances: InstanceStore,
}

/// Which searches have ended, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedSearches {
    /// The tenant.
    pub(crate) tenant_id: String,
    /// Those of this user; `None` means all of the tenant.
    pub(crate) user_id: Option<String>,
    /// This search of the user; `None` means all of them.
    pub(crate) search: Option<SearchKey>,
    /// When that was recorded: what matched later belongs to a search that was saved again.
    pub(crate) at: DateTime<Utc>,
}

/// A search and an opportunity of a batch.
type MatchPair<'a> = (&'a SearchKey, &'a MatchedOpportunity);

impl MatchStore {
    /// Uses the tables behind this pool, which `medhub migrate` creates, and the instances of processes.
    pub fn new(pool: PgPool, instances: InstanceStore) -> Self {
        Self { pool, instances }
    }

    /// Records the new matches of a batch, with the commands that announce them. Matches that are recorded already
    /// change nothing.
    ///
    /// # Errors
    /// [`MatchingError`] when Postgres does not answer. What was recorded before stays.
    pub async fn record_matches(
        &self,
        opportunities: &[&MatchedOpportunity],
        matches: &[SearchMatches],
        now: DateTime<Utc>,
    ) -> Result<(), MatchingError> {
        for chunk in matches.chunks(SEARCHES_PER_TRANSACTION) {
            self.record_chunk(opportunities, chunk, now).await?;
        }
        Ok(())
    }

    async fn record_chunk(
        &self,
        opportunities: &[&MatchedOpportunity],
        matches: &[SearchMatches],
        now: DateTime<Utc>,
    ) -> Result<(), MatchingError> {
        let pairs = matches.iter().flat_map(|found| {
            found.opportunities.iter().filter_map(|index| Some((&found.key, *opportunities.get(*index)?)))
        });
        let known = self.load_known_pairs(&pairs.collect::<Vec<_>>()).await?;
        let hour = hour_name(now);
        let mut windows = BTreeMap::new();
        let mut new_matches = vec![];
        for found in matches {
            let mut seen = HashSet::new();
            let new: Vec<&MatchedOpportunity> = found
                .opportunities
                .iter()
                .filter_map(|index| opportunities.get(*index).copied())
                .filter(|opportunity| !known.contains(&match_id(&found.key, &opportunity.id)))
                .filter(|opportunity| seen.insert(opportunity.id.as_str()))
                .collect();
            let Some(first) = new.first().copied().or_else(|| opportunities.last().copied().filter(|_| found.more > 0))
            else {
                continue;
            };
            windows.insert(alert_window_key(&found.key, &hour), first.correlation_id);
            new_matches.push((found, new, first));
        }
        counter!("medhub_search_matches_total", "outcome" => "known").increment(known.len() as u64);
        if new_matches.is_empty() {
            return Ok(());
        }
        let mut session = self.instances.begin_inputs::<SavedSearchAlerts>(&windows).await?;
        let mut rows = NewMatchRows::default();
        for (found, new, _) in &mut new_matches {
            let window = session.state(&alert_window_key(&found.key, &hour))?;
            let recordable = window.as_ref().map_or(MAX_RECORDED_PER_HOUR, SavedSearchAlerts::recordable) as usize;
            for opportunity in new.iter().take(recordable) {
                rows.add(found, opportunity);
            }
        }
        let inserted = rows.insert(session.connection()).await?;
        let mut announced = BTreeSet::new();
        let mut overflows = OverflowRows::default();
        for (found, new, first) in &new_matches {
            let key = alert_window_key(&found.key, &hour);
            let Some(search) = alerted_search(found, &hour) else { continue };
            let mut counted = found.more;
            for opportunity in new {
                let id = match_id(&found.key, &opportunity.id);
                if !rows.ids.contains(&id) {
                    counted += 1;
                } else if inserted.contains(&id) {
                    let input = SavedSearchAlertInput {
                        search: search.clone(),
                        found: SavedSearchMatch::Opportunity(announcement(opportunity)),
                    };
                    let cause = InputCause::from_event(id, opportunity.event_id, opportunity.correlation_id);
                    if session.react(&key, &input, cause)? > 0 {
                        announced.insert(id);
                    }
                }
            }
            if counted > 0 {
                let input = SavedSearchAlertInput { search, found: SavedSearchMatch::More(counted) };
                let id = match_id(&found.key, &first.event_id.to_string());
                session.react(&key, &input, InputCause::from_event(id, first.event_id, first.correlation_id))?;
                overflows.add(found, counted);
            }
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

    /// Forgets what is still to be announced of searches that have ended.
    ///
    /// # Errors
    /// [`MatchingError`] when Postgres does not answer.
    pub async fn end_searches(&self, ended: &EndedSearches) -> Result<(), MatchingError> {
        let Some(process) = find_process() else { return Ok(()) };
        let prefix = ended.search.as_ref().map(alert_window_prefix);
        let open: Vec<String> = sqlx::query_scalar(include_str!("match_store/open_windows.sql"))
            .bind(SavedSearchAlerts::NAME)
            .bind(&ended.tenant_id)
            .bind(&prefix)
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
        for statement in [
            include_str!("match_store/remove_ended_matches.sql"),
            include_str!("match_store/remove_ended_overflows.sql"),
        ] {
            sqlx::query(statement)
                .bind(&ended.tenant_id)
                .bind(&ended.user_id)
                .bind(ended.search.as_ref().map(|search| search.search_id.uuid()))
                .bind(ended.at)
                .execute(&self.pool)
                .await
                .map_err(postgres_error("removing matches of searches that have ended"))?;
        }
        Ok(())
    }

    /// Removes matches of long ago; returns how many.
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

/// Matches to insert, as columns.
#[derive(Default)]
struct NewMatchRows<'a> {
    ids: HashSet<Uuid>,
    rows: Vec<(Uuid, &'a SearchMatches, &'a MatchedOpportunity)>,
}

impl<'a> NewMatchRows<'a> {
    fn add(&mut self, found: &'a SearchMatches, opportunity: &'a MatchedOpportunity) {
        let id = match_id(&found.key, &opportunity.id);
        self.ids.insert(id);
        self.rows.push((id, found, opportunity));
    }

    /// Inserts the rows; returns the ids of those that another program has not inserted meanwhile.
    async fn insert(&self, connection: &mut PgConnection) -> Result<HashSet<Uuid>, MatchingError> {
        if self.rows.is_empty() {
            return Ok(HashSet::new());
        }
        let rows = sqlx::query(include_str!("match_store/insert.sql"))
            .bind(self.rows.iter().map(|(_, found, _)| &*found.key.tenant_id).collect::<Vec<_>>())
            .bind(self.rows.iter().map(|(_, found, _)| &*found.key.user_id).collect::<Vec<_>>())
            .bind(self.rows.iter().map(|(_, found, _)| found.key.search_id.uuid()).collect::<Vec<_>>())
            .bind(self.rows.iter().map(|(_, _, opportunity)| opportunity.id.as_str()).collect::<Vec<_>>())
            .bind(self.rows.iter().map(|(_, found, _)| &*found.name).collect::<Vec<_>>())
            .bind(self.rows.iter().map(|(_, _, opportunity)| printable(&opportunity.title)).collect::<Vec<_>>())
            .bind(self.rows.iter().map(|(_, _, opportunity)| printable(&opportunity.agency_name)).collect::<Vec<_>>())
            .bind(self.rows.iter().map(|(_, found, _)| found.notify.name()).collect::<Vec<_>>())
            .bind(self.rows.iter().map(|(_, _, opportunity)| opportunity.event_id).collect::<Vec<_>>())
            .fetch_all(connection)
            .await
            .map_err(postgres_error("recording matches of saved searches"))?;
        let inserted = rows.iter().map(|row| {
            let key = SearchKey {
                tenant_id: Arc::from(row.try_get::<&str, _>("tenant_id")?),
                user_id: Arc::from(row.try_get::<&str, _>("user_id")?),
                search_id: SearchId::new(row.try_get("search_id")?),
            };
            Ok(match_id(&key, row.try_get("opportunity_id")?))
        });
        let inserted = inserted.collect::<Result<_, sqlx::Error>>();
        inserted.map_err(postgres_error("decoding recorded matches"))
    }

    async fn mark_announced(
        &self,
        connection: &mut PgConnection,
        announced: &BTreeSet<Uuid>,
    ) -> Result<(), MatchingError> {
        let rows: Vec<_> = self.rows.iter().filter(|(id, _, _)| announced.contains(id)).collect();
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query(include_str!("match_store/mark_announced.sql"))
            .bind(rows.iter().map(|(_, found, _)| &*found.key.tenant_id).collect::<Vec<_>>())
            .bind(rows.iter().map(|(_, found, _)| &*found.key.user_id).collect::<Vec<_>>())
            .bind(rows.iter().map(|(_, found, _)| found.key.search_id.uuid()).collect::<Vec<_>>())
            .bind(rows.iter().map(|(_, _, opportunity)| opportunity.id.as_str()).collect::<Vec<_>>())
            .execute(connection)
            .await
            .map(drop)
            .map_err(postgres_error("marking matches as announced"))
    }
}

/// Numbers of matches that are only counted, by search.
#[derive(Default)]
struct OverflowRows<'a>(Vec<(&'a SearchMatches, u64)>);

impl<'a> OverflowRows<'a> {
    fn add(&mut self, found: &'a SearchMatches, count: u64) {
        self.0.push((found, count));
    }

    fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    async fn upsert(&self, connection: &mut PgConnection, now: DateTime<Utc>) -> Result<(), MatchingError> {
        if self.0.is_empty() {
            return Ok(());
        }
        sqlx::query(include_str!("match_store/add_overflows.sql"))
            .bind(self.0.iter().map(|(found, _)| &*found.key.tenant_id).collect::<Vec<_>>())
            .bind(self.0.iter().map(|(found, _)| &*found.key.user_id).collect::<Vec<_>>())
            .bind(self.0.iter().map(|(found, _)| found.key.search_id.uuid()).collect::<Vec<_>>())
            .bind(self.0.iter().map(|(found, _)| &*found.name).collect::<Vec<_>>())
            .bind(self.0.iter().map(|(found, _)| found.notify.name()).collect::<Vec<_>>())
            .bind(self.0.iter().map(|(_, count)| i64::try_from(*count).unwrap_or(i64::MAX)).collect::<Vec<_>>())
            .bind(now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now))
            .execute(connection)
            .await
            .map(drop)
            .map_err(postgres_error("counting matches of saved searches"))
    }
}

fn find_process() -> Option<Arc<dyn AnyProcess>> {
    processes::all_processes().into_iter().find(|process| process.name() == SavedSearchAlerts::NAME)
}

/// The id of the match of a search and a subject, the same each time.
fn match_id(search: &SearchKey, subject: &str) -> Uuid {
    let SearchKey { tenant_id, user_id, search_id } = search;
    Uuid::new_v5(&MATCH_NAMESPACE, [tenant_id, user_id, &*search_id.to_string(), subject].join("\n").as_bytes())
}

/// What the process has to know of a search; `None` for a user whose id is no id, which no event has.
fn alerted_search(found: &SearchMatches, hour: &str) -> Option<AlertedSearch> {
    Some(AlertedSearch {
        search_id: found.key.search_id,
        name: found.name.to_string(),
        user: UserId::try_new(&found.key.user_id).ok()?,
        notify: found.notify,
        hour: hour.to_owned(),
    })
}

fn announcement(opportunity: &MatchedOpportunity) -> MatchAnnouncement {
    let mut summary = format!("{} of {}", opportunity.notice_type, opportunity.agency_name);
    if let Some(set_aside) = &opportunity.set_aside {
        summary.push_str(", set aside for ");
        summary.push_str(set_aside);
    }
    if let Some(deadline) = opportunity.response_deadline {
        summary.push_str(&deadline.format(", responses by %Y-%m-%d %H:%M UTC").to_string());
    }
    summary.push('.');
    MatchAnnouncement { opportunity_id: opportunity.id.clone(), title: opportunity.title.clone(), summary }
}

/// A text without control characters, some of which Postgres refuses.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn text_for_postgres_has_no_control_characters() {
        assert_eq!(printable("a\0b\nc"), "a b c");
    }
}
