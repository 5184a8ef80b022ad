//! Figures about opportunities as they move.

use std::time::Duration;

use async_graphql::{Context, Result, SimpleObject, Subscription};
use cqrs_es::Aggregate;
use domain::opportunity as record;
use futures::{Stream, StreamExt, stream};
use projections::{
    opportunity_views::{OpportunityCounters, OpportunityViews},
    runtime::{ConsistencyToken, Generation, Projection},
};
use tokio::time::sleep;

use crate::{
    app_context::AppContext,
    graphql::{
        error,
        feed_subscription::{self, FeedEvent},
        read_models,
    },
};

/// Time between two looks at figures that move.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// Figures as they move.
#[derive(Default)]
pub(in crate::graphql) struct OpportunityDashboardSubscription;

#[Subscription]
impl OpportunityDashboardSubscription {
    /// How many opportunities there are by status: now, and whenever that may have changed, once a second at most.
    async fn opportunity_dashboard(
        &self,
        ctx: &Context<'_>,
    ) -> Result<impl Stream<Item = Result<OpportunityDashboard>> + use<>> {
        let stores = error::require_context_data(ctx.data::<AppContext>())?.clone();
        let now = read_models::from_context(ctx)?
            .opportunity_views()
            .await?
            .counters()
            .await
            .map_err(|error| error::query_error(&error))?;
        let moved = Box::pin(
            feed_subscription::subscribe_events(ctx, None, opportunity_change_token)
                .await?
                .ready_chunks(MAX_CHUNK_EVENTS),
        );
        let later = stream::unfold(Some((moved, stores)), next_dashboard);
        Ok(stream::once(std::future::ready(Ok(OpportunityDashboard::from(now)))).chain(later))
    }
}

/// Changes that are looked at together.
const MAX_CHUNK_EVENTS: usize = 10_000;

/// Opportunities by status.
#[derive(SimpleObject)]
struct OpportunityDashboard {
    /// In all.
    total: u64,
    /// Nobody has won them.
    open: u64,
    /// At least one contract was awarded.
    awarded: u64,
    /// The agency no longer wants them.
    cancelled: u64,
    /// They are over.
    archived: u64,
}

impl From<OpportunityCounters> for OpportunityDashboard {
    fn from(counters: OpportunityCounters) -> Self {
        let of = |status: &str| counters.by_status.get(status).copied().unwrap_or_default();
        Self {
            total: counters.total,
            open: of("open"),
            awarded: of("awarded"),
            cancelled: of("cancelled"),
            archived: of("archived"),
        }
    }
}

fn opportunity_change_token(happened: &FeedEvent) -> Option<ConsistencyToken> {
    (happened.event.aggregate_type == record::Opportunity::TYPE).then(|| happened.consistency_token())
}

/// The figures after the next changes. They are read a moment later, so that what was changed together is shown together,
/// and when the read model has come as far.
async fn next_dashboard<S>(
    rest: Option<(S, AppContext)>,
) -> Option<(Result<OpportunityDashboard>, Option<(S, AppContext)>)>
where
    S: Stream<Item = Vec<Result<ConsistencyToken>>> + Unpin,
{
    let (mut moved, stores) = rest?;
    let last = match moved.next().await?.into_iter().collect::<Result<Vec<_>>>() {
        Ok(tokens) => tokens.into_iter().next_back(),
        Err(error) => return Some((Err(error), None)),
    };
    sleep(REFRESH_INTERVAL).await;
    let (models, generations) = stores.read_models.current_with_generations();
    if let Some(token) = last {
        let generation = generations.get(OpportunityViews::NAME).copied().unwrap_or(Generation::FIRST);
        // Figures that are behind are better than none: the next change brings them up to date.
        let waited =
            stores.runtime.wait_for_token(&models.opportunity_views, generation, &token, stores.consistency_wait).await;
        if let Err(away) = waited {
            return Some((Err(error::unavailable(&away)), None));
        }
    }
    match models.opportunity_views.counters().await {
        Ok(counters) => Some((Ok(counters.into()), Some((moved, stores)))),
        Err(error) => Some((Err(error::query_error(&error)), None)),
    }
}
