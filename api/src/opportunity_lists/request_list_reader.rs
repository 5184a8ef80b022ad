//! Reads the lists for one request.

use std::sync::Arc;

use futures::FutureExt;
use projections::{
    opportunity_lists::{FacetCount, OpportunityPage, SelectionStats},
    response_cache::ResponseCache,
    runtime::AnyProjection,
};

use super::{
    ListFacetQuery, ListPageQuery, ListStatisticsQuery, OpportunityListError, OpportunityListReader,
    list_query::ListQuery,
    list_source::{ListSource, ListStore},
};

/// Reads the lists for one request: one generation of one read model, which is chosen at its beginning. Cheap to clone.
#[derive(Clone)]
pub(crate) struct RequestListReader {
    reader: OpportunityListReader,
    source: ListSource,
    invalidations: ResponseCache,
    shares_results: bool,
}

impl RequestListReader {
    pub(super) fn new(reader: OpportunityListReader, source: ListSource, invalidations: ResponseCache) -> Self {
        Self { reader, source, invalidations, shares_results: true }
    }

    /// The read model that is read, for waiting until it has reached a consistency token.
    pub(crate) fn read_model(&self) -> &dyn AnyProjection {
        self.source.read_model()
    }

    /// The same lists without results of queries for other requests, for a request with a consistency token.
    #[must_use]
    pub(crate) fn without_shared_results(self) -> Self {
        Self { shares_results: false, ..self }
    }

    /// Returns a page.
    ///
    /// # Errors
    /// [`OpportunityListError`] when it is not answered.
    pub(crate) async fn fetch_page(&self, query: ListPageQuery) -> Result<Arc<OpportunityPage>, OpportunityListError> {
        self.fetch(query).await
    }

    /// Counts the selected opportunities by the values of dimensions, the most frequent value first.
    ///
    /// # Errors
    /// [`OpportunityListError`] when it is not answered.
    pub(crate) async fn fetch_facets(
        &self,
        query: ListFacetQuery,
    ) -> Result<Arc<Vec<FacetCount>>, OpportunityListError> {
        self.fetch(query).await
    }

    /// Returns figures over the selected opportunities.
    ///
    /// # Errors
    /// [`OpportunityListError`] when it is not answered.
    pub(crate) async fn fetch_statistics(
        &self,
        query: ListStatisticsQuery,
    ) -> Result<Arc<SelectionStats>, OpportunityListError> {
        self.fetch(query).await
    }

    async fn fetch<Q: ListQuery>(&self, query: Q) -> Result<Arc<Q::Output>, OpportunityListError> {
        if !self.shares_results || !query.is_common() {
            return self.query_store(&query).await.map(Arc::new);
        }
        let reader = &self.reader.shared;
        let position = reader.positions.read(&self.invalidations).await;
        let key = format!("{}\n{query:?}", self.source.key());
        let query = || {
            let (lists, key) = (self.clone(), key.clone());
            async move { lists.query_and_store(query, key, position).await }.boxed()
        };
        Q::shared_results(reader).find_or_query(key.clone(), position, query).await
    }

    /// Queries the store, and caches the result if it contains everything up to `position`.
    async fn query_and_store<Q: ListQuery>(
        &self,
        query: Q,
        key: String,
        position: Option<u64>,
    ) -> Result<Arc<Q::Output>, OpportunityListError> {
        let reader = &self.reader.shared;
        // Checked before the query: its result then contains everything up to this position.
        let valid_for = match position {
            Some(position) if reader.applied.has_reached(&reader.runtime, &self.source, position).await => {
                Some(position)
            }
            Some(_) | None => None,
        };
        let result = Arc::new(self.query_store(&query).await?);
        if let Some(position) = valid_for {
            Q::shared_results(reader).store(key, position, Arc::clone(&result), Q::output_bytes(&result));
        }
        Ok(result)
    }

    async fn query_store<Q: ListQuery>(&self, query: &Q) -> Result<Q::Output, OpportunityListError> {
        let reader = &self.reader.shared;
        let queue = match &self.source.store {
            ListStore::Lists(_) if query.is_expensive() => &reader.statistics_queue,
            ListStore::Lists(_) => &reader.lists_queue,
            ListStore::Analytics(_) => &reader.analytics_queue,
        };
        queue.run(query.execute(&self.source)).await?
    }
}
