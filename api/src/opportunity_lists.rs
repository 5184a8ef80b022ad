//! Lists of opportunities, their facets and statistics, as all edges answer them.
//!
//! They are read from the read model of lists. Until that has been built, which takes a while after an upgrade, pages in
//! the default order and statistics are read from `ClickHouse`, and everything else is refused.
//!
//! First pages, facets and statistics are cached per process until an event about an opportunity is recorded. Requests
//! for the same one at the same time share a query, if no such event is recorded between them: while events come all
//! the time, the admission queues alone bound the queries. Queries that cannot be answered in time are refused, so that
//! the others are.

mod analytics_fallback;
mod applied_position;
mod list_order;
mod list_query;
mod list_readiness;
mod list_source;
mod position_reader;
mod query_result_cache;
mod request_list_reader;
mod shared_results;
mod single_flight;

use std::{sync::Arc, time::Duration};

use projections::{
    QueryError,
    opportunity_lists::{FacetCount, OpportunityPage, SelectionStats},
    read_models::ReadModels,
    runtime::{AnyProjection, GenerationMap, ProjectionRuntime, ReadModelGeneration},
};

use self::{
    applied_position::AppliedPosition, list_readiness::ListReadiness, list_source::ListSource,
    position_reader::PositionReader, shared_results::SharedResults,
};
pub(crate) use self::{
    list_order::OpportunityOrderInput,
    list_query::{ListFacetQuery, ListPageQuery, ListStatisticsQuery},
    request_list_reader::RequestListReader,
};
use crate::admission_queue::{AdmissionQueue, QueueFull};

/// Queries of `ClickHouse` at once: each uses several threads of the server.
const MAX_RUNNING_ANALYTICS_QUERIES: usize = 4;

/// The part of the queries of lists that may be statistics is one divided by this, rounded up.
const STATISTICS_DIVISOR: usize = 4;

/// Longest wait of a query for its turn.
const MAX_ADMISSION_WAIT: Duration = Duration::from_secs(1);

/// Why a list is not answered.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum OpportunityListError {
    /// Too many queries wait.
    #[error("too many queries of lists are waiting, try again in {} s", .0.retry_after_s)]
    TooManyQueries(#[from] QueueFull),
    /// The read model has not been built yet, as far as this process knows, and only it has the answer.
    #[error(
        "the lists are being built, or their progress cannot be read: for now there are only pages in the order \
         POSTED_NEWEST, without facets; try again later"
    )]
    BeingBuilt,
    /// A page has no number of its list, although it was requested: a defect.
    #[error("the number of opportunities in a list was not read")]
    TotalNotRead,
    /// The store does not answer.
    #[error(transparent)]
    Query(Arc<QueryError>),
}

impl From<QueryError> for OpportunityListError {
    fn from(error: QueryError) -> Self {
        Self::Query(Arc::new(error))
    }
}

/// Reads lists. Cheap to clone; clones share the cache and the queues.
#[derive(Clone)]
pub(crate) struct OpportunityListReader {
    shared: Arc<ReaderState>,
}

/// What all requests share.
struct ReaderState {
    runtime: Arc<ProjectionRuntime>,
    readiness: ListReadiness,
    applied: AppliedPosition,
    positions: PositionReader,
    lists_queue: AdmissionQueue,
    /// Statistics that no counter has read thousands of rows: they must not delay pages.
    statistics_queue: AdmissionQueue,
    analytics_queue: AdmissionQueue,
    pages: SharedResults<OpportunityPage>,
    facets: SharedResults<Vec<FacetCount>>,
    statistics: SharedResults<SelectionStats>,
}

impl OpportunityListReader {
    /// Creates a reader that sends at most `max_running` queries at once to the store of the lists.
    pub(crate) fn new(runtime: Arc<ProjectionRuntime>, max_running: u32) -> Self {
        let max_running = usize::try_from(max_running).unwrap_or(usize::MAX).clamp(1, 1_024);
        let statistics = max_running.div_ceil(STATISTICS_DIVISOR);
        let shared = ReaderState {
            runtime,
            readiness: ListReadiness::default(),
            applied: AppliedPosition::default(),
            positions: PositionReader::default(),
            lists_queue: AdmissionQueue::new(max_running.saturating_sub(statistics), MAX_ADMISSION_WAIT),
            statistics_queue: AdmissionQueue::new(statistics, MAX_ADMISSION_WAIT),
            analytics_queue: AdmissionQueue::new(MAX_RUNNING_ANALYTICS_QUERIES, MAX_ADMISSION_WAIT),
            pages: SharedResults::default(),
            facets: SharedResults::default(),
            statistics: SharedResults::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The lists for a request with these read models; `active` names their active generations.
    pub(crate) async fn open(&self, models: &ReadModels, active: &GenerationMap) -> RequestListReader {
        let generation_of =
            |model: &dyn AnyProjection| active.get(model.name()).copied().unwrap_or(ReadModelGeneration::FIRST);
        let lists = &models.opportunity_lists;
        let is_ready = self.shared.readiness.check(&self.shared.runtime, lists, generation_of(lists)).await;
        let source = if is_ready {
            ListSource::lists(lists.clone(), generation_of(lists))
        } else {
            ListSource::analytics(models.analytics.clone(), generation_of(&models.analytics))
        };
        RequestListReader::new(self.clone(), source, models.response_cache.clone())
    }
}
