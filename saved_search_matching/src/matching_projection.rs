//! Feeds opportunities to the matching, as a forwarding projection: past opportunities are never matched.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use domain::{
    clock::{Clock as _, SystemClock},
    context::BoundedContext,
    envelope::RawEnvelope,
    opportunity::{OpportunityContent, OpportunityEvent},
};
use metrics::histogram;
use processes::{InstanceStoreError, Process as _, saved_search_alert_process::SavedSearchAlertProcess};
use projections::{
    QueryError,
    runtime::{BatchLimits, FetchStrategy, ForwardingProjection, ProjectionError, is_rejected_value},
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
    /// An opportunity has other details.
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

impl ForwardingProjection for SavedSearchMatching {
    /// The name of the process whose inputs it finds.
    const NAME: &'static str = SavedSearchAlertProcess::NAME;

    const FETCH_STRATEGY: FetchStrategy = FetchStrategy::Collect;

    type Change = MatchingChange;

    fn subscribed_contexts() -> &'static [BoundedContext] {
        SavedSearchAlertProcess::subscribed_contexts()
    }

    fn batch_limits() -> BatchLimits {
        BatchLimits { batch_events: 500, linger: Duration::from_millis(50), rebuild_events: 500 }
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
                if is_rejected_value(source) =>
            {
                ProjectionError::rejected(error)
            }
            MatchingError::Process(InstanceStoreError::UnreadableState { .. }) => ProjectionError::rejected(error),
            MatchingError::Log(_)
            | MatchingError::Postgres { .. }
            | MatchingError::UnknownEvent(_)
            | MatchingError::ReadModelGeneration(_)
            | MatchingError::Search(_)
            | MatchingError::Process(_)
            | MatchingError::NoOpenWindow { .. }
            | MatchingError::Panicked(_) => ProjectionError::unavailable(error),
        })
    }

    async fn ping(&self) -> Result<(), QueryError> {
        self.store.ping().await.map_err(QueryError::postgres)
    }
}

fn find_opportunity(event: &RawEnvelope) -> Result<Option<MatchingChange>, ProjectionError> {
    Ok(match event.decode::<OpportunityEvent>().map_err(ProjectionError::poison)?.into_content() {
        Some(OpportunityContent::CurrentNotice { filing, details }) => {
            let opportunity = MatchedOpportunity::from_event(event, &filing, Arc::unwrap_or_clone(details));
            Some(MatchingChange::Opportunity(Box::new(opportunity)))
        }
        // Searches do not look at awards.
        Some(OpportunityContent::Award { .. }) | None => None,
    })
}

fn find_ended(event: &RawEnvelope) -> Result<Option<MatchingChange>, ProjectionError> {
    let ended = EndedSearches::from_event(event).map_err(ProjectionError::poison)?;
    Ok(ended.map(MatchingChange::Ended))
}
