//! Feeds opportunities to the matching, as a stateless projection: past opportunities are never matched.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use domain::{
    clock::{Clock as _, SystemClock},
    context::BoundedContext,
    envelope::RawEnvelope,
    opportunity::{AmendmentStanding, OpportunityEvent},
};
use metrics::histogram;
use processes::{InstanceStoreError, Process as _, saved_search_alerts::SavedSearchAlerts};
use projections::{
    QueryError,
    runtime::{
        BatchLimits, EmptyFold, FetchStrategy, Generation, Projection, ProjectionError, ReadModelFold, ReadModelRow,
        VerifyScope,
    },
};
use tokio::sync::Mutex;

use crate::{EndedSearches, MatchStore, MatchedOpportunity, MatchingError, SearchRegistry};

/// Matches opportunities against the saved searches of all companies.
#[derive(Clone)]
pub struct SavedSearchMatching {
    registry: Arc<Mutex<SearchRegistry>>,
    store: MatchStore,
}

/// What an event means for matching.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MatchingChange {
    /// An opportunity has other facts.
    Opportunity(Box<MatchedOpportunity>),
    /// Searches have ended: removed, set to notify never, or their user has left.
    Ended(EndedSearches),
}

impl SavedSearchMatching {
    /// Creates the projection. The registry is filled by the first batch.
    pub fn new(registry: SearchRegistry, store: MatchStore) -> Self {
        Self { registry: Arc::new(Mutex::new(registry)), store }
    }

    async fn match_changes(&self, changes: &[MatchingChange]) -> Result<(), MatchingError> {
        let opportunities = changes.iter().filter_map(|change| match change {
            MatchingChange::Opportunity(opportunity) => Some(&**opportunity),
            MatchingChange::Ended(_) => None,
        });
        let opportunities: Vec<_> = opportunities.collect();
        if !opportunities.is_empty() {
            let started = Instant::now();
            let found = self.registry.lock().await.find_matches(&opportunities).await?;
            histogram!("medhub_search_matching_seconds").record(started.elapsed().as_secs_f64());
            self.store.record_matches(&opportunities, &found, SystemClock.now()).await?;
        }
        for change in changes {
            if let MatchingChange::Ended(ended) = change {
                self.store.end_searches(ended).await?;
            }
        }
        Ok(())
    }
}

impl Projection for SavedSearchMatching {
    /// The name of the process whose inputs it finds.
    const NAME: &'static str = SavedSearchAlerts::NAME;

    /// An opportunity is never announced because the log is replayed.
    const HAS_READ_MODEL: bool = false;

    const FETCH_STRATEGY: FetchStrategy = FetchStrategy::Collect;

    type Change = MatchingChange;

    fn subscribed_contexts() -> &'static [BoundedContext] {
        SavedSearchAlerts::subscribed_contexts()
    }

    fn batch_limits() -> BatchLimits {
        BatchLimits { batch_events: 500, linger: Duration::from_millis(10), rebuild_events: 500 }
    }

    /// There is only one generation: what was announced cannot be announced again.
    fn with_generation(&self, _generation: Generation) -> Self {
        self.clone()
    }

    fn project(event: &RawEnvelope) -> Result<Vec<MatchingChange>, ProjectionError> {
        let change = match event.aggregate_type.as_str() {
            "opportunity" => find_opportunity(event)?,
            "watchlist" | "company" => find_ended(event)?,
            _ => None,
        };
        Ok(change.into_iter().collect())
    }

    async fn apply(&self, changes: &[MatchingChange]) -> Result<(), ProjectionError> {
        self.match_changes(changes).await.map_err(|error| match &error {
            MatchingError::Postgres { source, .. }
            | MatchingError::Process(InstanceStoreError::Postgres { source, .. })
                if is_invalid_value(source) =>
            {
                ProjectionError::refused(error)
            }
            MatchingError::Process(InstanceStoreError::UnreadableState { .. }) => ProjectionError::refused(error),
            MatchingError::Log(_)
            | MatchingError::Postgres { .. }
            | MatchingError::UnknownEvent(_)
            | MatchingError::Generation(_)
            | MatchingError::Search(_)
            | MatchingError::Process(_)
            | MatchingError::NoOpenWindow { .. }
            | MatchingError::Panicked(_) => ProjectionError::unavailable(error),
        })
    }

    /// Postgres returns what it has committed, and most opportunities match nothing.
    async fn is_applied(&self, _change: &MatchingChange) -> Result<bool, QueryError> {
        Ok(true)
    }

    async fn ping(&self) -> Result<(), QueryError> {
        self.store.ping().await.map_err(unavailable_error)
    }

    async fn prepare(&self) -> Result<(), QueryError> {
        self.store.ping().await.map_err(unavailable_error)
    }

    /// Keeps the matches: they are not derived from the log alone.
    async fn discard(&self) -> Result<(), QueryError> {
        Ok(())
    }

    fn fold(&self, _scope: &VerifyScope) -> Box<dyn ReadModelFold> {
        Box::new(EmptyFold)
    }

    async fn read_back(&self, _scope: &VerifyScope) -> Result<Vec<ReadModelRow>, QueryError> {
        Ok(vec![])
    }
}

fn find_opportunity(event: &RawEnvelope) -> Result<Option<MatchingChange>, ProjectionError> {
    Ok(match event.decode::<OpportunityEvent>().map_err(ProjectionError::poison)? {
        OpportunityEvent::Discovered { filing, facts }
        | OpportunityEvent::Amended { filing, standing: AmendmentStanding::Current, facts } => {
            let opportunity = MatchedOpportunity::from_event(event, &filing, *facts);
            Some(MatchingChange::Opportunity(Box::new(opportunity)))
        }
        // They change nothing that searches look at; a new deadline is also part of the amendment before it.
        OpportunityEvent::Amended { standing: AmendmentStanding::Earlier, .. }
        | OpportunityEvent::DeadlineChanged { .. }
        | OpportunityEvent::Awarded { .. }
        | OpportunityEvent::Cancelled { .. }
        | OpportunityEvent::Archived { .. } => None,
    })
}

fn find_ended(event: &RawEnvelope) -> Result<Option<MatchingChange>, ProjectionError> {
    let ended = EndedSearches::from_event(event).map_err(ProjectionError::poison)?;
    Ok(ended.map(MatchingChange::Ended))
}

/// Whether Postgres refuses a value (SQLSTATE classes 22 and 23): it accepts others.
fn is_invalid_value(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
}

fn unavailable_error(error: MatchingError) -> QueryError {
    QueryError::Unavailable { store: "Postgres", source: Box::new(error) }
}
