//! Queries about lists of opportunities.

use std::{fmt, future::Future};

use projections::{
    opportunity_analytics::OpportunitySelection,
    opportunity_lists::{
        CursorOfAnotherOrder, FacetCount, FacetDimension, OpportunityListCursor, OpportunityListRequest,
        OpportunityOrder, OpportunityPage, SelectionStats,
    },
};

use super::{
    OpportunityListError, ReaderState, analytics_fallback,
    list_source::{ListSource, ListStore},
    shared_results::SharedResults,
};

/// A query with the same result for all callers. Its debug format identifies it.
pub(super) trait ListQuery: fmt::Debug + Clone + Send + Sync + 'static {
    /// The result.
    type Output: Send + Sync + 'static;

    /// Whether many requests need it, so that its result is cached.
    fn is_common(&self) -> bool {
        true
    }

    /// Whether its query may read thousands of opportunities, and so has its own queue.
    fn is_expensive(&self) -> bool {
        false
    }

    /// Executes it on the store.
    fn execute(&self, source: &ListSource) -> impl Future<Output = Result<Self::Output, OpportunityListError>> + Send;

    /// Size of a result in memory, roughly.
    fn output_bytes(output: &Self::Output) -> usize;

    /// Where results of this kind are shared.
    fn shared_results(reader: &ReaderState) -> &SharedResults<Self::Output>;
}

/// A page.
#[derive(Debug, Clone)]
pub(crate) struct ListPageQuery {
    request: OpportunityListRequest,
    /// The same for the read model of analysts.
    selection: OpportunitySelection,
    after: Option<OpportunityListCursor>,
    first: u32,
}

impl ListPageQuery {
    /// Queries at most `first` opportunities after the cursor `after`, without descriptions and without their number.
    ///
    /// # Errors
    /// [`CursorOfAnotherOrder`] when the cursor is from a list in another order.
    pub(crate) fn try_new(
        selection: OpportunitySelection,
        order: OpportunityOrder,
        after: Option<OpportunityListCursor>,
        first: u32,
    ) -> Result<Self, CursorOfAnotherOrder> {
        let OpportunitySelection { filter, text } = selection.clone();
        let request = OpportunityListRequest::try_new(filter, text, order, after.clone(), first)?;
        Ok(Self { request, selection, after, first })
    }

    /// The same with the number of opportunities in the whole list.
    #[must_use]
    pub(crate) fn with_total(self) -> Self {
        Self { request: self.request.with_total(), ..self }
    }

    /// The same with descriptions.
    #[must_use]
    pub(crate) fn with_descriptions(self) -> Self {
        Self { request: self.request.with_descriptions(), ..self }
    }
}

impl ListQuery for ListPageQuery {
    type Output = OpportunityPage;

    fn is_common(&self) -> bool {
        self.after.is_none()
    }

    async fn execute(&self, source: &ListSource) -> Result<OpportunityPage, OpportunityListError> {
        match &source.store {
            ListStore::Lists(lists) => Ok(lists.fetch_page(&self.request).await?),
            ListStore::Analytics(analytics) if self.request.order() == OpportunityOrder::PostedNewest => {
                analytics_fallback::fetch_page(analytics, &self.selection, self.after.as_ref(), self.first).await
            }
            ListStore::Analytics(_) => Err(OpportunityListError::BeingBuilt),
        }
    }

    fn output_bytes(page: &OpportunityPage) -> usize {
        let texts = page.items.iter().map(|item| {
            let entry = &item.entry;
            entry.title.len()
                + entry.description.as_ref().map_or(0, String::len)
                + entry.link.as_ref().map_or(0, String::len)
        });
        texts.map(|bytes| bytes + FIXED_ITEM_BYTES).sum()
    }

    fn shared_results(reader: &ReaderState) -> &SharedResults<OpportunityPage> {
        &reader.pages
    }
}

/// The counts of the values of dimensions.
#[derive(Debug, Clone)]
pub(crate) struct ListFacetQuery {
    /// What is counted.
    pub(crate) selection: OpportunitySelection,
    /// The values that it is counted by.
    pub(crate) dimensions: Vec<FacetDimension>,
}

impl ListQuery for ListFacetQuery {
    type Output = Vec<FacetCount>;

    async fn execute(&self, source: &ListSource) -> Result<Vec<FacetCount>, OpportunityListError> {
        let Self { selection: OpportunitySelection { filter, text }, dimensions } = self;
        match &source.store {
            ListStore::Lists(lists) => Ok(lists.fetch_facets(filter, text.as_deref(), dimensions).await?),
            ListStore::Analytics(_) => Err(OpportunityListError::BeingBuilt),
        }
    }

    fn output_bytes(facets: &Vec<FacetCount>) -> usize {
        facets.len() * FIXED_ITEM_BYTES
    }

    fn shared_results(reader: &ReaderState) -> &SharedResults<Vec<FacetCount>> {
        &reader.facets
    }
}

/// Statistics over a selection.
#[derive(Debug, Clone)]
pub(crate) struct ListStatisticsQuery {
    /// What is counted.
    pub(crate) selection: OpportunitySelection,
}

impl ListQuery for ListStatisticsQuery {
    type Output = SelectionStats;

    fn is_expensive(&self) -> bool {
        true
    }

    async fn execute(&self, source: &ListSource) -> Result<SelectionStats, OpportunityListError> {
        let OpportunitySelection { filter, text } = &self.selection;
        match &source.store {
            ListStore::Lists(lists) => Ok(lists.fetch_statistics(filter, text.as_deref()).await?),
            ListStore::Analytics(analytics) => analytics_fallback::fetch_statistics(analytics, &self.selection).await,
        }
    }

    fn output_bytes(statistics: &SelectionStats) -> usize {
        let SelectionStats { by_agency, by_type, by_day, .. } = statistics;
        (by_agency.len() + by_type.len() + by_day.len()) * FIXED_ITEM_BYTES
    }

    fn shared_results(reader: &ReaderState) -> &SharedResults<SelectionStats> {
        &reader.statistics
    }
}

/// Size of an item without its long texts: codes, names and fields.
const FIXED_ITEM_BYTES: usize = 600;
