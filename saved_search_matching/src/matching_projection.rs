//! Feeds opportunities to the matching, as a stateless projection: past opportunities are never matched.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use domain::{
    clock::{Clock as _, SystemClock},
    company::CompanyEvent,
    context::BoundedContext,
    envelope::RawEnvelope,
    error_chain::format_error_chain,
    opportunity::{AmendmentStanding, OpportunityEvent},
    watchlist::{NotificationFrequency, WatchlistEvent},
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

use crate::{MatchStore, MatchedOpportunity, MatchingError, SearchKey, SearchRegistry, match_store::EndedSearches};

/// How often matches of long ago are removed.
const CLEAN_UP_INTERVAL: Duration = Duration::from_hours(1);

/// Matches opportunities against the saved searches of all companies.
#[derive(Clone)]
pub struct SavedSearchMatching {
    registry: Arc<Mutex<SearchRegistry>>,
    store: MatchStore,
    cleaned_up_at: Arc<Mutex<Option<Instant>>>,
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
        Self { registry: Arc::new(Mutex::new(registry)), store, cleaned_up_at: Arc::default() }
    }

    async fn match_changes(&self, changes: &[MatchingChange]) -> Result<(), MatchingError> {
        let opportunities = changes.iter().filter_map(|change| match change {
            MatchingChange::Opportunity(opportunity) => Some(&**opportunity),
            MatchingChange::Ended(_) => None,
        });
        let opportunities: Vec<_> = opportunities.collect();
        if !opportunities.is_empty() {
            let started = Instant::now();
            let matches = self.registry.lock().await.find_matches(&opportunities).await?;
            histogram!("medhub_search_matching_seconds").record(started.elapsed().as_secs_f64());
            if !matches.is_empty() {
                self.store.record_matches(&opportunities, &matches, SystemClock.now()).await?;
            }
        }
        for change in changes {
            if let MatchingChange::Ended(ended) = change {
                self.store.end_searches(ended).await?;
            }
        }
        Ok(())
    }

    async fn clean_up(&self) {
        let mut cleaned_up_at = self.cleaned_up_at.lock().await;
        if cleaned_up_at.is_none_or(|at| at.elapsed() >= CLEAN_UP_INTERVAL) {
            *cleaned_up_at = Some(Instant::now());
            if let Err(error) = self.store.remove_old_matches().await {
                tracing::debug!(reason = format_error_chain(&error), "old matches of saved searches not removed");
            }
        }
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
            "watchlist" => find_ended_search(event)?,
            "company" => find_ended_membership(event)?,
            _ => None,
        };
        Ok(change.into_iter().collect())
    }

    async fn apply(&self, changes: &[MatchingChange]) -> Result<(), ProjectionError> {
        let matched = self.match_changes(changes).await;
        self.clean_up().await;
        matched.map_err(|error| match &error {
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

fn find_ended_search(event: &RawEnvelope) -> Result<Option<MatchingChange>, ProjectionError> {
    let search_id = match event.decode::<WatchlistEvent>().map_err(ProjectionError::poison)? {
        WatchlistEvent::SearchRemoved { search_id, .. } => search_id,
        WatchlistEvent::SearchSaved { search_id, search, .. } if search.notify == NotificationFrequency::Never => {
            search_id
        }
        WatchlistEvent::SearchSaved { .. }
        | WatchlistEvent::OpportunitySaved { .. }
        | WatchlistEvent::OpportunityUnsaved { .. } => return Ok(None),
    };
    let user = event.local_id();
    let search = SearchKey { tenant_id: event.tenant_id.as_str().into(), user_id: user.into(), search_id };
    Ok(Some(ended(event, Some(user.to_owned()), Some(search))))
}

fn find_ended_membership(event: &RawEnvelope) -> Result<Option<MatchingChange>, ProjectionError> {
    Ok(match event.decode::<CompanyEvent>().map_err(ProjectionError::poison)? {
        CompanyEvent::MemberRemoved { user, .. } => Some(ended(event, Some(user.as_str().to_owned()), None)),
        CompanyEvent::Closed { .. } => Some(ended(event, None, None)),
        CompanyEvent::Registered { .. }
        | CompanyEvent::ProfileChanged { .. }
        | CompanyEvent::MemberAdded { .. }
        | CompanyEvent::RoleChanged { .. }
        | CompanyEvent::ApiKeyIssued { .. }
        | CompanyEvent::ApiKeyRevoked { .. } => None,
    })
}

fn ended(event: &RawEnvelope, user_id: Option<String>, search: Option<SearchKey>) -> MatchingChange {
    MatchingChange::Ended(EndedSearches { tenant_id: event.tenant_id.clone(), user_id, search, at: event.recorded_at })
}

/// Whether Postgres refuses a value (SQLSTATE classes 22 and 23): it accepts others.
fn is_invalid_value(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
}

fn unavailable_error(error: MatchingError) -> QueryError {
    QueryError::Unavailable { store: "Postgres", source: Box::new(error) }
}
