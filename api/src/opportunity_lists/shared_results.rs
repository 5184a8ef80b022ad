//! Results of one kind of queries, which many requests share.

use std::{sync::Arc, time::Instant};

use futures::future::BoxFuture;

use super::{OpportunityListError, query_result_cache::QueryResultCache, single_flight::SingleFlight};

type SharedQueryResult<T> = Result<Arc<T>, OpportunityListError>;

/// Cached results, and the queries that run.
pub(super) struct SharedResults<T> {
    cache: QueryResultCache<Arc<T>>,
    /// By query and position: a query that began before the latest event does not answer for the time after it.
    flights: SingleFlight<(String, Option<u64>), SharedQueryResult<T>>,
}

impl<T> Default for SharedResults<T> {
    fn default() -> Self {
        Self { cache: QueryResultCache::default(), flights: SingleFlight::default() }
    }
}

impl<T: Send + Sync + 'static> SharedResults<T> {
    /// The cached result that is valid for `position`, else the result of one query for all requests with `key` at this
    /// position.
    pub(super) async fn find_or_query(
        &self,
        key: String,
        position: Option<u64>,
        query: impl FnOnce() -> BoxFuture<'static, SharedQueryResult<T>>,
    ) -> SharedQueryResult<T> {
        if let Some(result) = position.and_then(|position| self.cache.find(&key, position, Instant::now())) {
            return Ok(result);
        }
        self.flights.join((key, position), query).await
    }

    /// Caches a result of this size that is valid for `position`.
    pub(super) fn store(&self, key: String, position: u64, result: Arc<T>, bytes: usize) {
        self.cache.store(key, position, result, bytes, Instant::now());
    }
}
