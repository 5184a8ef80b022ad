//! The saved searches and members of all companies, in memory: read from the log, and kept up to date.
//!
//! Before a batch is matched, the registry reads what the log has of searches and members up to its fence. Opportunities
//! that Kafka delivers are below it, so every search that was saved before an opportunity was recorded is compared with
//! it, whatever the order of their delivery.

mod member_roster;
#[cfg(test)]
pub(crate) mod tests;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use domain::{
    company::CompanyEvent,
    envelope::{EventMetadata, RawEnvelope},
    watchlist::{NotificationFrequency, SavedSearch, SearchCriteria, WatchlistEvent},
};
use metrics::gauge;
use projections::{
    opportunity_search::{OpportunitySearch, OpportunityText, TextQuery, TextQueryBuilder},
    runtime::{Projection as _, ProjectionRuntime},
};
use sqlx::{PgPool, Row, postgres::PgRow};
use uuid::Uuid;

use self::member_roster::MemberRoster;
use crate::{
    MatchedOpportunity, MatchingError, SearchEntry, SearchIndex, SearchKey, SearchMatches, error::postgres_error,
    match_batch::collect_matches, search_index::WordScores,
};

/// Events that are read and applied at once.
const PAGE_EVENTS: i64 = 5_000;

/// Texts whose queries are built by one call.
const TEXTS_PER_CALL: usize = 500;

/// The settings of a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegistryConfig {
    /// How often it compares the size of the collection with that when the queries were built. When the collection has
    /// twice as many opportunities, the queries are built again, with its present term statistics.
    pub statistics_interval: Duration,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self { statistics_interval: Duration::from_mins(5) }
    }
}

/// The saved searches and members of all companies.
pub struct SearchRegistry {
    pool: PgPool,
    runtime: Arc<ProjectionRuntime>,
    /// In any generation.
    search: OpportunitySearch,
    config: RegistryConfig,
    progress: RegistryProgress,
    /// Shared with the threads that match.
    searches: Arc<RwLock<RegisteredSearches>>,
}

/// How far the log is read, and what building queries needs.
#[derive(Default)]
struct RegistryProgress {
    incarnation: Option<Uuid>,
    position: u64,
    builder: Option<TextQueryBuilder>,
    /// Number of opportunities when the builder was created.
    statistics_of: u64,
    statistics_checked_at: Option<Instant>,
}

/// The searches, and who may be notified.
#[derive(Debug, Default)]
pub(crate) struct RegisteredSearches {
    pub(crate) index: SearchIndex,
    members: MemberRoster,
}

/// The changes of a page of events, by search; `None` removes it.
type SearchChanges = BTreeMap<SearchKey, Option<SearchEntry>>;

impl SearchRegistry {
    /// Creates an empty registry; it is filled by the first batch.
    pub fn new(
        pool: PgPool,
        runtime: Arc<ProjectionRuntime>,
        search: OpportunitySearch,
        config: RegistryConfig,
    ) -> Self {
        Self { pool, runtime, search, config, progress: RegistryProgress::default(), searches: Arc::default() }
    }

    /// The matches of a batch of opportunities, by search.
    ///
    /// # Errors
    /// [`MatchingError`] when the log, Qdrant or the embedding model is unavailable.
    pub async fn find_matches(
        &mut self,
        opportunities: &[&MatchedOpportunity],
    ) -> Result<Vec<SearchMatches>, MatchingError> {
        self.refresh().await?;
        let size = self.read_searches(|searches| searches.index.size());
        if size.searches == 0 {
            return Ok(vec![]);
        }
        let documents: Vec<_> = opportunities.iter().map(|opportunity| &*opportunity.document).collect();
        let texts = if size.texts > 0 {
            self.search.prepare_opportunity_texts(&documents).await?
        } else {
            vec![OpportunityText::new(vec![], vec![]); documents.len()]
        };
        let searches = Arc::clone(&self.searches);
        let opportunities: Vec<MatchedOpportunity> = opportunities.iter().map(|found| (*found).clone()).collect();
        // Takes up to milliseconds for each opportunity, too long for a thread of the async runtime.
        let work = tokio::task::spawn_blocking(move || {
            let searches = searches.read().unwrap_or_else(PoisonError::into_inner);
            let (mut scores, mut matches) = (WordScores::default(), BTreeMap::new());
            for (number, (opportunity, text)) in opportunities.iter().zip(&texts).enumerate() {
                let found = searches.index.find_matches(opportunity, text, &mut scores);
                let may_notify = |entry: &&SearchEntry| searches.members.is_member(&entry.key);
                collect_matches(&mut matches, number, found.into_iter().filter(may_notify));
            }
            matches.into_values().collect()
        });
        work.await.map_err(MatchingError::Panicked)
    }

    /// Reads what the log has of searches and members up to its fence.
    ///
    /// # Errors
    /// [`MatchingError`] when the log, Qdrant or the embedding model is unavailable; then it goes on from where it was.
    pub async fn refresh(&mut self) -> Result<(), MatchingError> {
        let incarnation = self.runtime.log().incarnation().await.map_err(MatchingError::Log)?;
        let fence = self.runtime.log().completed_prefix().await.map_err(MatchingError::Log)?;
        if self.progress.incarnation != Some(incarnation) || self.has_outgrown_statistics().await? {
            self.progress = RegistryProgress { incarnation: Some(incarnation), ..RegistryProgress::default() };
            self.write_searches(|searches| *searches = RegisteredSearches::default());
        }
        while self.progress.position < fence {
            let events = self.load_events(fence).await?;
            let last = events.last().map(|event| event.position);
            self.apply_events(&events).await?;
            self.progress.position = last.unwrap_or(fence);
        }
        let size = self.read_searches(|searches| searches.index.size());
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        gauge!("medhub_saved_searches").set(size.searches as f64);
        Ok(())
    }

    /// Whether the collection has at least twice as many opportunities as when the queries were built.
    async fn has_outgrown_statistics(&mut self) -> Result<bool, MatchingError> {
        let checked_at = self.progress.statistics_checked_at;
        let is_due = checked_at.is_some_and(|checked_at| checked_at.elapsed() >= self.config.statistics_interval);
        if !is_due || self.progress.builder.is_none() {
            return Ok(false);
        }
        self.progress.statistics_checked_at = Some(Instant::now());
        let count = self.active_search().await?.count_opportunities().await?;
        Ok(count > 2 * self.progress.statistics_of)
    }

    async fn active_search(&self) -> Result<OpportunitySearch, MatchingError> {
        let pointer = self.runtime.control().load_pointer().await?;
        Ok(self.search.with_generation(pointer.active_generation(OpportunitySearch::NAME)))
    }

    async fn load_events(&self, fence: u64) -> Result<Vec<RawEnvelope>, MatchingError> {
        let rows = sqlx::query(include_str!("search_registry/load_events.sql"))
            .bind(i64::try_from(self.progress.position).unwrap_or(i64::MAX))
            .bind(i64::try_from(fence).unwrap_or(i64::MAX))
            .bind(PAGE_EVENTS)
            .fetch_all(&self.pool)
            .await
            .map_err(postgres_error("reading the events of saved searches"))?;
        let decoded = rows.iter().map(event_from_row).collect::<Result<_, _>>();
        decoded.map_err(postgres_error("decoding the events of saved searches"))
    }

    async fn apply_events(&mut self, events: &[RawEnvelope]) -> Result<(), MatchingError> {
        let mut changes = SearchChanges::new();
        for event in events {
            if event.event_type.starts_with("company.") {
                let change: CompanyEvent = event.decode()?;
                self.write_searches(|searches| searches.members.apply_event(&event.tenant_id, &change));
            } else {
                self.add_change(&mut changes, event)?;
            }
        }
        let changes: Vec<_> = changes.into_iter().collect();
        for chunk in changes.chunks(TEXTS_PER_CALL) {
            self.apply_changes(chunk).await?;
        }
        Ok(())
    }

    fn add_change(&self, changes: &mut SearchChanges, event: &RawEnvelope) -> Result<(), MatchingError> {
        let (search_id, search) = match event.decode()? {
            WatchlistEvent::SearchSaved { search_id, search, .. } => (search_id, Some(search)),
            WatchlistEvent::SearchRemoved { search_id, .. } => (search_id, None),
            WatchlistEvent::OpportunitySaved { .. } | WatchlistEvent::OpportunityUnsaved { .. } => return Ok(()),
        };
        let key = SearchKey { tenant_id: event.tenant_id.as_str().into(), user_id: event.local_id().into(), search_id };
        // A search without criteria is not saved any more, and would match everything.
        let notifies = |search: &SavedSearch| {
            search.notify != NotificationFrequency::Never && search.criteria != SearchCriteria::default()
        };
        let entry = search.filter(notifies).map(|search| {
            let entry = SearchEntry::new(key.clone(), &search, event.position);
            let before = match changes.get(&key) {
                Some(before) => before.clone(),
                None => self.read_searches(|searches| searches.index.find(&key).cloned()),
            };
            entry.continued_from(before.as_ref())
        });
        changes.insert(key, entry);
        Ok(())
    }

    async fn apply_changes(&mut self, changes: &[(SearchKey, Option<SearchEntry>)]) -> Result<(), MatchingError> {
        let texts: HashSet<&str> = changes.iter().filter_map(|(_, entry)| entry.as_ref()?.text.as_deref()).collect();
        let unknown: Vec<&str> = self
            .read_searches(|searches| texts.into_iter().filter(|text| !searches.index.contains_text(text)).collect());
        let queries = self.build_queries(&unknown).await?;
        let mut queries: HashMap<Box<str>, TextQuery> = unknown.into_iter().map(Box::from).zip(queries).collect();
        self.write_searches(|searches| {
            for (key, entry) in changes {
                let unused = match entry {
                    Some(entry) => {
                        let query = entry.text.as_ref().and_then(|text| queries.get(text).cloned());
                        searches.index.insert(entry.clone(), query)
                    }
                    None => searches.index.remove(key),
                };
                // A later search of these changes may have the text.
                queries.extend(unused);
            }
        });
        Ok(())
    }

    async fn build_queries(&mut self, texts: &[&str]) -> Result<Vec<TextQuery>, MatchingError> {
        if texts.is_empty() {
            return Ok(vec![]);
        }
        if self.progress.builder.is_none() {
            let search = self.active_search().await?;
            self.progress.statistics_of = search.count_opportunities().await?;
            self.progress.statistics_checked_at = Some(Instant::now());
            self.progress.builder = Some(TextQueryBuilder::create(search).await);
        }
        let Some(builder) = &mut self.progress.builder else { return Ok(vec![]) };
        let built = builder.build_queries(texts).await;
        if built.is_err() {
            // The generation may have been retired: the next attempt uses the one that is active then.
            self.progress.builder = None;
        }
        Ok(built?)
    }

    fn read_searches<T>(&self, read: impl FnOnce(&RegisteredSearches) -> T) -> T {
        read(&self.searches.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write_searches<T>(&self, write: impl FnOnce(&mut RegisteredSearches) -> T) -> T {
        write(&mut self.searches.write().unwrap_or_else(PoisonError::into_inner))
    }
}

fn event_from_row(row: &PgRow) -> Result<RawEnvelope, sqlx::Error> {
    Ok(RawEnvelope {
        position: row.try_get::<i64, _>("position")?.unsigned_abs(),
        event_id: row.try_get("event_id")?,
        tenant_id: row.try_get("tenant_id")?,
        aggregate_type: row.try_get("aggregate_type")?,
        aggregate_id: row.try_get("aggregate_id")?,
        sequence: row.try_get::<i64, _>("sequence")?.unsigned_abs(),
        event_type: row.try_get("event_type")?,
        event_version: row.try_get("event_version")?,
        recorded_at: row.try_get("recorded_at")?,
        // Matching needs none of it.
        metadata: EventMetadata::default(),
        payload: row.try_get("payload")?,
    })
}
