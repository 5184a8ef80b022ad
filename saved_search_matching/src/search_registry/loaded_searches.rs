//! The searches and members of all companies up to a position of the log.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
};

use domain::{
    company::CompanyEvent,
    envelope::RawEnvelope,
    watchlist::{NotificationFrequency, SavedSearch, SearchCriteria, WatchlistEvent},
};
use projections::{
    opportunity_search::{OpportunitySearch, TextQuery, TextQueryBuilder},
    runtime::{Projection as _, ProjectionRuntime},
};
use sqlx::PgPool;
use uuid::Uuid;

use super::{event_from_row, member_roster::MemberRoster};
use crate::{MatchingError, SearchEntry, SearchIndex, SearchKey, error::postgres_error};

/// Events that are read and applied at once.
const PAGE_EVENTS: i64 = 5_000;

/// Texts whose queries are built by one call.
const TEXTS_PER_CALL: usize = 500;

/// Where searches are read from, and what their queries are built with.
#[derive(Clone)]
pub(super) struct SearchSource {
    pub(super) pool: PgPool,
    pub(super) runtime: Arc<ProjectionRuntime>,
    /// In any generation.
    pub(super) search: OpportunitySearch,
}

/// The searches, and who may be notified.
#[derive(Debug, Default)]
pub(crate) struct RegisteredSearches {
    pub(super) index: SearchIndex,
    members: MemberRoster,
}

/// Searches that are read from the log, how far, and what building further queries needs.
pub(super) struct LoadedSearches {
    pub(super) incarnation: Option<Uuid>,
    pub(super) position: u64,
    builder: Option<TextQueryBuilder>,
    /// Number of opportunities when the builder was created; `None` if no text has been built.
    pub(super) statistics_opportunities: Option<u64>,
    /// Shared with the threads that match.
    pub(super) searches: Arc<RwLock<RegisteredSearches>>,
}

/// The changes of a page of events, by search; `None` removes it.
type SearchChanges = BTreeMap<SearchKey, Option<SearchEntry>>;

impl SearchSource {
    /// The search in its active generation.
    pub(super) async fn active_search(&self) -> Result<OpportunitySearch, MatchingError> {
        let pointer = self.runtime.control().load_pointer().await?;
        Ok(self.search.with_generation(pointer.active_generation(OpportunitySearch::NAME)))
    }

    async fn load_events(&self, position: u64, fence: u64) -> Result<Vec<RawEnvelope>, MatchingError> {
        let rows = sqlx::query(include_str!("load_events.sql"))
            .bind(i64::try_from(position).unwrap_or(i64::MAX))
            .bind(i64::try_from(fence).unwrap_or(i64::MAX))
            .bind(PAGE_EVENTS)
            .fetch_all(&self.pool)
            .await
            .map_err(postgres_error("reading the events of saved searches"))?;
        let decoded = rows.iter().map(event_from_row).collect::<Result<_, _>>();
        decoded.map_err(postgres_error("decoding the events of saved searches"))
    }
}

impl RegisteredSearches {
    /// A search that an opportunity matches, with the position since which it notifies its user; `None` if the user is
    /// not a member, or joined after the opportunity was recorded.
    pub(super) fn find_active<'a>(&self, entry: &'a SearchEntry, opportunity: u64) -> Option<(&'a SearchEntry, u64)> {
        let member_since = self.members.member_since(&entry.key).filter(|since| *since < opportunity)?;
        Some((entry, entry.active_since.max(member_since)))
    }
}

impl LoadedSearches {
    /// None, of a log in this incarnation.
    pub(super) fn new(incarnation: Option<Uuid>) -> Self {
        Self { incarnation, position: 0, builder: None, statistics_opportunities: None, searches: Arc::default() }
    }

    /// Reads what the log has of searches and members up to its fence.
    ///
    /// # Errors
    /// [`MatchingError`] when the log, Qdrant or the embedding model is unavailable; the next call continues.
    pub(super) async fn load_up_to(&mut self, source: &SearchSource, fence: u64) -> Result<(), MatchingError> {
        while self.position < fence {
            let events = source.load_events(self.position, fence).await?;
            let last = events.last().map(|event| event.position);
            self.apply_events(source, &events).await?;
            self.position = last.unwrap_or(fence);
        }
        Ok(())
    }

    async fn apply_events(&mut self, source: &SearchSource, events: &[RawEnvelope]) -> Result<(), MatchingError> {
        let mut changes = SearchChanges::new();
        for event in events {
            if event.event_type.starts_with("company.") {
                let change: CompanyEvent = event.decode()?;
                self.write(|searches| searches.members.apply_event(&event.tenant_id, &change, event.position));
            } else {
                self.add_change(&mut changes, event)?;
            }
        }
        let changes: Vec<_> = changes.into_iter().collect();
        for chunk in changes.chunks(TEXTS_PER_CALL) {
            self.apply_changes(source, chunk).await?;
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
                None => self.read(|searches| searches.index.find(&key).cloned()),
            };
            entry.continued_from(before.as_ref())
        });
        changes.insert(key, entry);
        Ok(())
    }

    async fn apply_changes(
        &mut self,
        source: &SearchSource,
        changes: &[(SearchKey, Option<SearchEntry>)],
    ) -> Result<(), MatchingError> {
        let texts: HashSet<&str> = changes.iter().filter_map(|(_, entry)| entry.as_ref()?.text.as_deref()).collect();
        let unknown: Vec<&str> =
            self.read(|searches| texts.into_iter().filter(|text| !searches.index.contains_text(text)).collect());
        let queries = self.build_queries(source, &unknown).await?;
        let mut queries: HashMap<Box<str>, TextQuery> = unknown.into_iter().map(Box::from).zip(queries).collect();
        self.write(|searches| {
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

    async fn build_queries(&mut self, source: &SearchSource, texts: &[&str]) -> Result<Vec<TextQuery>, MatchingError> {
        if texts.is_empty() {
            return Ok(vec![]);
        }
        if self.builder.is_none() {
            let search = source.active_search().await?;
            self.statistics_opportunities = Some(search.count_opportunities().await?);
            self.builder = Some(TextQueryBuilder::create(search).await);
        }
        let Some(builder) = &mut self.builder else { return Ok(vec![]) };
        let built = builder.build_queries(texts).await;
        if built.is_err() {
            // The generation may have been retired: the next attempt uses the one that is active then.
            self.builder = None;
        }
        Ok(built?)
    }

    pub(super) fn read<T>(&self, read: impl FnOnce(&RegisteredSearches) -> T) -> T {
        read(&self.searches.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, write: impl FnOnce(&mut RegisteredSearches) -> T) -> T {
        write(&mut self.searches.write().unwrap_or_else(PoisonError::into_inner))
    }
}
