//! The saved searches and members of all companies, in memory: read from the log, and kept up to date.
//!
//! Before a batch is matched, the registry reads what the log has of searches and members up to its fence.
//! Opportunities that Kafka delivers are below it, so every search that was saved before an opportunity was recorded is
//! compared with it, in any order of delivery.

mod loaded_searches;
mod member_roster;
#[cfg(test)]
pub(crate) mod tests;

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use domain::{
    envelope::{EventMetadata, RawEnvelope},
    error_chain::format_error_chain,
};
use metrics::gauge;
use projections::{
    opportunity_search::{OpportunitySearch, OpportunityText},
    runtime::ProjectionRuntime,
};
use sqlx::{PgPool, Row, postgres::PgRow};
use tokio::task::JoinSet;

use self::loaded_searches::{LoadedSearches, SearchSource};
use crate::{BatchMatches, MatchedOpportunity, MatchingError, match_batch::collect_matches, search_index::WordScores};

/// The settings of a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchRegistryConfig {
    /// How often it compares the size of the collection with that when the queries were built. When the collection has
    /// more than twice as many opportunities, the queries are built again, with its present term statistics.
    pub statistics_interval: Duration,
    /// The least number of opportunities for that: the statistics of few say little.
    pub min_opportunities: u64,
}

impl Default for SearchRegistryConfig {
    fn default() -> Self {
        Self { statistics_interval: Duration::from_mins(5), min_opportunities: 1_000 }
    }
}

/// The saved searches and members of all companies.
pub struct SearchRegistry {
    source: SearchSource,
    config: SearchRegistryConfig,
    loaded: LoadedSearches,
    /// Loads the searches with new term statistics, while those that are loaded match.
    replacement: JoinSet<Result<LoadedSearches, MatchingError>>,
    statistics_checked_at: Instant,
}

impl SearchRegistry {
    /// Creates an empty registry; it is filled by the first batch.
    pub fn new(
        pool: PgPool,
        runtime: Arc<ProjectionRuntime>,
        search: OpportunitySearch,
        config: SearchRegistryConfig,
    ) -> Self {
        Self {
            source: SearchSource { pool, runtime, search },
            config,
            loaded: LoadedSearches::new(None),
            replacement: JoinSet::new(),
            statistics_checked_at: Instant::now(),
        }
    }

    /// The matches of a batch of opportunities, by search.
    ///
    /// # Errors
    /// [`MatchingError`] when the log, Qdrant or the embedding model is unavailable.
    pub async fn find_matches(&mut self, opportunities: &[&MatchedOpportunity]) -> Result<BatchMatches, MatchingError> {
        self.refresh().await?;
        let position = self.loaded.position;
        let size = self.loaded.read(|searches| searches.index.size());
        if size.searches == 0 {
            return Ok(BatchMatches { searches: vec![], position });
        }
        let documents: Vec<_> = opportunities.iter().map(|opportunity| &*opportunity.document).collect();
        let texts = if size.texts > 0 {
            self.source.search.prepare_opportunity_texts(&documents).await?
        } else {
            vec![OpportunityText::new(vec![], vec![]); documents.len()]
        };
        let searches = Arc::clone(&self.loaded.searches);
        let opportunities: Vec<MatchedOpportunity> = opportunities.iter().map(|found| (*found).clone()).collect();
        // Takes up to milliseconds for each opportunity, too long for a thread of the async runtime.
        let work = tokio::task::spawn_blocking(move || {
            let searches = searches.read().unwrap_or_else(PoisonError::into_inner);
            let (mut scores, mut matches) = (WordScores::default(), BTreeMap::new());
            for (number, (opportunity, text)) in opportunities.iter().zip(&texts).enumerate() {
                let found = searches.index.match_opportunity(opportunity, text, &mut scores);
                let active = found.into_iter().filter_map(|entry| searches.find_active(entry, opportunity.position));
                collect_matches(&mut matches, number, active);
            }
            matches.into_values().collect()
        });
        Ok(BatchMatches { searches: work.await.map_err(MatchingError::Panicked)?, position })
    }

    /// Reads what the log has of searches and members up to its fence.
    ///
    /// # Errors
    /// [`MatchingError`] when the log, Qdrant or the embedding model is unavailable; the next call continues.
    pub async fn refresh(&mut self) -> Result<(), MatchingError> {
        let incarnation = self.source.runtime.log().incarnation().await.map_err(MatchingError::Log)?;
        let fence = self.source.runtime.log().load_fence().await.map_err(MatchingError::Log)?;
        if self.loaded.incarnation != Some(incarnation) {
            self.replacement = JoinSet::new();
            self.loaded = LoadedSearches::new(Some(incarnation));
        }
        self.take_replacement();
        self.loaded.load_up_to(&self.source, fence).await?;
        if self.has_outgrown_statistics().await {
            self.load_replacement(fence);
        }
        let size = self.loaded.read(|searches| searches.index.size());
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        gauge!("medhub_saved_searches").set(size.searches as f64);
        Ok(())
    }

    /// The number of opportunities in the collection whose term statistics the queries have; `None` if no search has a
    /// text.
    pub fn statistics_opportunities(&self) -> Option<u64> {
        self.loaded.statistics_opportunities
    }

    /// Whether it is time to build the queries again. If that cannot be found out now, it is tried again later: the
    /// present queries match.
    async fn has_outgrown_statistics(&mut self) -> bool {
        let Some(statistics_opportunities) = self.loaded.statistics_opportunities else { return false };
        if !self.replacement.is_empty() || self.statistics_checked_at.elapsed() < self.config.statistics_interval {
            return false;
        }
        self.statistics_checked_at = Instant::now();
        match self.count_opportunities().await {
            Ok(count) => count >= self.config.min_opportunities && count > statistics_opportunities.saturating_mul(2),
            Err(error) => {
                tracing::debug!(
                    reason = format_error_chain(&error),
                    "counting the opportunities of the collection failed"
                );
                false
            }
        }
    }

    async fn count_opportunities(&self) -> Result<u64, MatchingError> {
        Ok(self.source.active_search().await?.count_opportunities().await?)
    }

    /// Begins to load the searches again. Each has its own queries, so both are in memory until it is done.
    fn load_replacement(&mut self, fence: u64) {
        let (source, mut loaded) = (self.source.clone(), LoadedSearches::new(self.loaded.incarnation));
        self.replacement.spawn(async move {
            loaded.load_up_to(&source, fence).await?;
            Ok(loaded)
        });
    }

    /// Uses the searches that were loaded again, if they are ready. What was recorded since is read next.
    fn take_replacement(&mut self) {
        match self.replacement.try_join_next() {
            None => {}
            Some(Ok(Ok(loaded))) => self.loaded = loaded,
            Some(Ok(Err(error))) => {
                tracing::warn!(reason = format_error_chain(&error), "rebuilding the queries of saved searches failed");
            }
            Some(Err(error)) => {
                tracing::error!(reason = format_error_chain(&error), "building queries of saved searches panicked");
            }
        }
    }
}

pub(crate) fn event_from_row(row: &PgRow) -> Result<RawEnvelope, sqlx::Error> {
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
