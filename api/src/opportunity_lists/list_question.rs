//! What is asked about lists of opportunities.

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
    shared_answers::SharedAnswers,
};

/// A question whose answer is the same for everybody. Its debug format identifies it.
pub(super) trait ListQuestion: fmt::Debug + Clone + Send + Sync + 'static {
    /// The answer.
    type Answer: Send + Sync + 'static;

    /// Whether many ask it, so that its answer is cached.
    fn is_common(&self) -> bool {
        true
    }

    /// Whether its query may read every selected opportunity, and so has a queue of its own.
    fn is_expensive(&self) -> bool {
        false
    }

    /// Queries the store.
    fn ask(&self, source: &ListSource) -> impl Future<Output = Result<Self::Answer, OpportunityListError>> + Send;

    /// Size of an answer in memory, roughly.
    fn answer_bytes(answer: &Self::Answer) -> usize;

    /// Where answers to questions of this kind are shared.
    fn shared_answers(reader: &ReaderState) -> &SharedAnswers<Self::Answer>;
}

/// Asks for a page.
#[derive(Debug, Clone)]
pub(crate) struct PageQuestion {
    request: OpportunityListRequest,
    /// The same for the read model of analysts.
    selection: OpportunitySelection,
    after: Option<OpportunityListCursor>,
    first: u32,
}

impl PageQuestion {
    /// Asks for at most `first` opportunities after the cursor `after`.
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
}

impl ListQuestion for PageQuestion {
    type Answer = OpportunityPage;

    fn is_common(&self) -> bool {
        self.after.is_none()
    }

    async fn ask(&self, source: &ListSource) -> Result<OpportunityPage, OpportunityListError> {
        match &source.store {
            ListStore::Lists(lists) => Ok(lists.fetch_page(&self.request).await?),
            ListStore::Analytics(analytics) if self.request.order() == OpportunityOrder::PostedNewest => {
                analytics_fallback::fetch_page(analytics, &self.selection, self.after.as_ref(), self.first).await
            }
            ListStore::Analytics(_) => Err(OpportunityListError::BeingBuilt),
        }
    }

    fn answer_bytes(page: &OpportunityPage) -> usize {
        let texts = page.items.iter().map(|item| {
            item.title.len()
                + item.description.as_ref().map_or(0, String::len)
                + item.link.as_ref().map_or(0, String::len)
        });
        texts.map(|bytes| bytes + FIXED_ITEM_BYTES).sum()
    }

    fn shared_answers(reader: &ReaderState) -> &SharedAnswers<OpportunityPage> {
        &reader.pages
    }
}

/// Asks for the counts of the values of dimensions.
#[derive(Debug, Clone)]
pub(crate) struct FacetQuestion {
    /// What is counted.
    pub(crate) selection: OpportunitySelection,
    /// By what it is counted.
    pub(crate) dimensions: Vec<FacetDimension>,
}

impl ListQuestion for FacetQuestion {
    type Answer = Vec<FacetCount>;

    async fn ask(&self, source: &ListSource) -> Result<Vec<FacetCount>, OpportunityListError> {
        let Self { selection: OpportunitySelection { filter, text }, dimensions } = self;
        match &source.store {
            ListStore::Lists(lists) => Ok(lists.fetch_facets(filter, text.as_deref(), dimensions).await?),
            ListStore::Analytics(_) => Err(OpportunityListError::BeingBuilt),
        }
    }

    fn answer_bytes(facets: &Vec<FacetCount>) -> usize {
        facets.len() * FIXED_ITEM_BYTES
    }

    fn shared_answers(reader: &ReaderState) -> &SharedAnswers<Vec<FacetCount>> {
        &reader.facets
    }
}

/// Asks for statistics.
#[derive(Debug, Clone)]
pub(crate) struct StatisticsQuestion {
    /// What is counted.
    pub(crate) selection: OpportunitySelection,
}

impl ListQuestion for StatisticsQuestion {
    type Answer = SelectionStats;

    fn is_expensive(&self) -> bool {
        true
    }

    async fn ask(&self, source: &ListSource) -> Result<SelectionStats, OpportunityListError> {
        let OpportunitySelection { filter, text } = &self.selection;
        match &source.store {
            ListStore::Lists(lists) => Ok(lists.fetch_statistics(filter, text.as_deref()).await?),
            ListStore::Analytics(analytics) => analytics_fallback::fetch_statistics(analytics, &self.selection).await,
        }
    }

    fn answer_bytes(statistics: &SelectionStats) -> usize {
        let SelectionStats { by_agency, by_type, by_day, .. } = statistics;
        (by_agency.len() + by_type.len() + by_day.len()) * FIXED_ITEM_BYTES
    }

    fn shared_answers(reader: &ReaderState) -> &SharedAnswers<SelectionStats> {
        &reader.statistics
    }
}

/// Size of an item without its long texts: codes, names and fields.
const FIXED_ITEM_BYTES: usize = 600;
