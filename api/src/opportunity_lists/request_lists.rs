//! The lists of one request.

use std::sync::Arc;

use futures::FutureExt;
use projections::{
    opportunity_lists::{FacetCount, OpportunityPage, SelectionStats},
    response_cache::ResponseCache,
    runtime::AnyProjection,
};

use super::{
    FacetQuestion, OpportunityListError, OpportunityListReader, PageQuestion, StatisticsQuestion,
    list_question::ListQuestion,
    list_source::{ListSource, ListStore},
};

/// The lists of one request: one generation of one read model, which is chosen at its beginning. Cheap to clone.
#[derive(Clone)]
pub(crate) struct RequestLists {
    reader: OpportunityListReader,
    source: ListSource,
    invalidations: ResponseCache,
    shares_answers: bool,
}

impl RequestLists {
    pub(super) fn new(reader: OpportunityListReader, source: ListSource, invalidations: ResponseCache) -> Self {
        Self { reader, source, invalidations, shares_answers: true }
    }

    /// The read model that is read, for waiting until it has reached a consistency token.
    pub(crate) fn read_model(&self) -> &dyn AnyProjection {
        self.source.read_model()
    }

    /// The same lists without answers to other requests, for a request with a consistency token.
    #[must_use]
    pub(crate) fn without_shared_answers(self) -> Self {
        Self { shares_answers: false, ..self }
    }

    /// Returns a page.
    ///
    /// # Errors
    /// [`OpportunityListError`] when it is not answered.
    pub(crate) async fn fetch_page(
        &self,
        question: PageQuestion,
    ) -> Result<Arc<OpportunityPage>, OpportunityListError> {
        self.answer(question).await
    }

    /// Counts the selected opportunities by the values of dimensions, the most frequent value first.
    ///
    /// # Errors
    /// [`OpportunityListError`] when it is not answered.
    pub(crate) async fn fetch_facets(
        &self,
        question: FacetQuestion,
    ) -> Result<Arc<Vec<FacetCount>>, OpportunityListError> {
        self.answer(question).await
    }

    /// Returns figures over the selected opportunities.
    ///
    /// # Errors
    /// [`OpportunityListError`] when it is not answered.
    pub(crate) async fn fetch_statistics(
        &self,
        question: StatisticsQuestion,
    ) -> Result<Arc<SelectionStats>, OpportunityListError> {
        self.answer(question).await
    }

    async fn answer<Q: ListQuestion>(&self, question: Q) -> Result<Arc<Q::Answer>, OpportunityListError> {
        if !self.shares_answers || !question.is_common() {
            return self.query_store(&question).await.map(Arc::new);
        }
        let reader = &self.reader.shared;
        let position = reader.positions.read(&self.invalidations).await;
        let key = format!("{}\n{question:?}", self.source.key());
        let query = || {
            let (lists, key) = (self.clone(), key.clone());
            async move { lists.query_and_store(question, key, position).await }.boxed()
        };
        Q::shared_answers(reader).find_or_query(key.clone(), position, query).await
    }

    /// Queries the store, and caches the answer if it contains everything up to `position`.
    async fn query_and_store<Q: ListQuestion>(
        &self,
        question: Q,
        key: String,
        position: Option<u64>,
    ) -> Result<Arc<Q::Answer>, OpportunityListError> {
        let reader = &self.reader.shared;
        // Checked before the query: its result then contains everything up to this position.
        let valid_for = match position {
            Some(position) if reader.applied.has_reached(&reader.runtime, &self.source, position).await => {
                Some(position)
            }
            Some(_) | None => None,
        };
        let answer = Arc::new(self.query_store(&question).await?);
        if let Some(position) = valid_for {
            Q::shared_answers(reader).store(key, position, Arc::clone(&answer), Q::answer_bytes(&answer));
        }
        Ok(answer)
    }

    async fn query_store<Q: ListQuestion>(&self, question: &Q) -> Result<Q::Answer, OpportunityListError> {
        let reader = &self.reader.shared;
        let queue = match &self.source.store {
            ListStore::Lists(_) if question.is_expensive() => &reader.statistics_queue,
            ListStore::Lists(_) => &reader.lists_queue,
            ListStore::Analytics(_) => &reader.analytics_queue,
        };
        queue.run(question.ask(&self.source)).await?
    }
}
