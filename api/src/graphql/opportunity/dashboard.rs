//! Subscription to the number of opportunities by status.

use std::time::Duration;

use async_graphql::{Context, Result, SimpleObject, Subscription};
use cqrs_es::Aggregate;
use domain::opportunity as record;
use futures::{Stream, StreamExt, stream};
use projections::{opportunity_views::OpportunityCounters, runtime::ConsistencyToken};
use tokio::time::sleep;

use crate::{
    app_context::AppContext,
    consistency::{self, ConsistencyError},
    graphql::{
        error,
        feed_subscription::{self, FeedEvent},
        read_models,
    },
};

/// Minimum time between two updates of the counters.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// Subscription to the number of opportunities by status.
#[derive(Default)]
pub(in crate::graphql) struct OpportunityDashboardSubscription;

#[Subscription]
impl OpportunityDashboardSubscription {
    /// Number of opportunities by status: once at the start, then after changes, at most once a second.
    async fn opportunity_dashboard(
        &self,
        ctx: &Context<'_>,
    ) -> Result<impl Stream<Item = Result<OpportunityDashboard>> + use<>> {
        let app = error::require_context_data(ctx.data::<AppContext>())?.clone();
        let now = read_models::from_context(ctx)?
            .opportunity_views()
            .await?
            .counters()
            .await
            .map_err(|error| error::query_error(&error))?;
        let changes = Box::pin(
            feed_subscription::subscribe_events(ctx, None, opportunity_change_token)
                .await?
                .ready_chunks(MAX_CHUNK_EVENTS),
        );
        let updates = stream::unfold(Some((changes, app)), next_dashboard);
        Ok(stream::once(std::future::ready(Ok(OpportunityDashboard::from(now)))).chain(updates))
    }
}

/// Maximum number of changes that one update covers.
const MAX_CHUNK_EVENTS: usize = 10_000;

/// Number of opportunities by status.
#[derive(SimpleObject)]
struct OpportunityDashboard {
    /// All opportunities.
    total: u64,
    /// Opportunities without an award.
    open: u64,
    /// Opportunities with at least one award.
    awarded: u64,
    /// Opportunities that the agency cancelled.
    cancelled: u64,
    /// Archived opportunities.
    archived: u64,
}

impl From<OpportunityCounters> for OpportunityDashboard {
    fn from(counters: OpportunityCounters) -> Self {
        let count = |status: &str| counters.by_status.get(status).copied().unwrap_or_default();
        Self {
            total: counters.total,
            open: count("open"),
            awarded: count("awarded"),
            cancelled: count("cancelled"),
            archived: count("archived"),
        }
    }
}

fn opportunity_change_token(feed_event: &FeedEvent) -> Option<ConsistencyToken> {
    (feed_event.event.aggregate_type == record::Opportunity::TYPE).then(|| feed_event.consistency_token())
}

/// Waits for the next changes, then for [`REFRESH_INTERVAL`] to coalesce further ones, then for the read model to reach
/// the last of them, and reads the counters.
async fn next_dashboard<S>(
    rest: Option<(S, AppContext)>,
) -> Option<(Result<OpportunityDashboard>, Option<(S, AppContext)>)>
where
    S: Stream<Item = Vec<Result<ConsistencyToken>>> + Unpin,
{
    let (mut changes, app) = rest?;
    let last = match changes.next().await?.into_iter().collect::<Result<Vec<_>>>() {
        Ok(tokens) => tokens.into_iter().next_back(),
        Err(error) => return Some((Err(error), None)),
    };
    sleep(REFRESH_INTERVAL).await;
    let (models, pointer) = app.read_models.current_with_pointer();
    if let Some(token) = last {
        let views = &models.opportunity_views;
        let wait = app.consistency_wait.for_subscriptions();
        let active = &pointer.generations;
        let waited = consistency::wait_until_token_reached(&app.runtime, active, views, &token, &wait).await;
        // Stale counters are better than none: the next change brings them up to date.
        if let Err(ConsistencyError::Unavailable(error)) = waited {
            return Some((Err(error::unavailable(&error)), None));
        }
    }
    match models.opportunity_views.counters().await {
        Ok(counters) => Some((Ok(counters.into()), Some((changes, app)))),
        Err(error) => Some((Err(error::query_error(&error)), None)),
    }
}
