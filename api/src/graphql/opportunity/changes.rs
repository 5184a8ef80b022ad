//! Subscription to changes of opportunities.

use std::collections::HashSet;

use async_graphql::{ComplexObject, Context, Enum, Result, SimpleObject, Subscription};
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use domain::{opportunity as record, value::PUBLIC_TENANT};
use futures::Stream;
use projections::runtime::ConsistencyToken;

use super::{detail::OpportunityNode, input_validation};
use crate::{
    app_context::AppContext,
    graphql::{
        error,
        feed_subscription::{self, FeedEvent},
        read_models,
    },
};

/// Maximum number of opportunities that one subscription may name.
const MAX_IDS: usize = 500;

/// Subscription to changes of opportunities.
#[derive(Default)]
pub(in crate::graphql) struct OpportunityChangesSubscription;

#[Subscription]
impl OpportunityChangesSubscription {
    /// Every change of an opportunity, exactly once and in log order, starting now or after a cursor. To miss nothing
    /// when the connection breaks, subscribe again with the cursor of the last change you received.
    async fn opportunity_changes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Continue after the change with this cursor, of any age.")] after: Option<String>,
        #[graphql(desc = "Only changes of these opportunities, 1 to 500 ids.")] ids: Option<Vec<String>>,
    ) -> Result<impl Stream<Item = Result<OpportunityChange>> + use<>> {
        let selected_ids = ids.map(|ids| parse_opportunity_ids(&ids)).transpose()?;
        feed_subscription::subscribe_events(ctx, after, move |feed_event| {
            to_opportunity_change(feed_event, selected_ids.as_ref())
        })
        .await
    }
}

/// A change of an opportunity.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(super) struct OpportunityChange {
    /// Cursor of the change; pass it as `after` to continue behind it.
    cursor: String,
    /// The opportunity's id.
    opportunity_id: String,
    /// The opportunity's version after the change.
    version: u64,
    /// Kind of the change.
    kind: OpportunityChangeKind,
    /// When it was recorded.
    recorded_at: DateTime<Utc>,
    /// Value for the request extension `consistencyToken`: a query that sends it waits until its read models contain
    /// the change.
    consistency_token: String,
    #[graphql(skip)]
    token: ConsistencyToken,
}

/// Kind of a change of an opportunity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum OpportunityChangeKind {
    /// The first notice was published.
    Discovered,
    /// A notice changed the recorded details.
    Amended,
    /// The response deadline changed.
    DeadlineChanged,
    /// A contract was awarded, the first or a further one.
    Awarded,
    /// The agency cancelled it.
    Cancelled,
    /// It was archived.
    Archived,
}

impl OpportunityChangeKind {
    /// The kind of change for an event type; `None` for a type that only a newer program version knows.
    pub(super) fn from_event_type(event_type: &str) -> Option<Self> {
        match event_type {
            "opportunity.discovered" => Some(Self::Discovered),
            "opportunity.amended" => Some(Self::Amended),
            "opportunity.deadline_changed" => Some(Self::DeadlineChanged),
            "opportunity.awarded" => Some(Self::Awarded),
            "opportunity.cancelled" => Some(Self::Cancelled),
            "opportunity.archived" => Some(Self::Archived),
            newer => {
                tracing::warn!(event.r#type = newer, "unknown opportunity event type, event skipped");
                None
            }
        }
    }
}

#[ComplexObject]
impl OpportunityChange {
    /// The opportunity including this change, and possibly later ones.
    async fn opportunity(&self, ctx: &Context<'_>) -> Result<Option<OpportunityNode>> {
        let reading = read_models::from_context(ctx)?
            .with_token(error::require_context_data(ctx.data::<AppContext>())?, self.token.clone());
        let id = input_validation::parse_opportunity_id("id", &self.opportunity_id)?;
        let view = reading.opportunity_views().await?.get(&id).await.map_err(|error| error::query_error(&error))?;
        Ok(view.map(OpportunityNode::from))
    }
}

fn parse_opportunity_ids(ids: &[String]) -> Result<HashSet<String>> {
    if ids.is_empty() || ids.len() > MAX_IDS {
        return Err(error::invalid_field("ids", format!("give 1 to {MAX_IDS} ids")));
    }
    ids.iter().map(|id| input_validation::parse_opportunity_id("ids", id).map(|id| id.to_string())).collect()
}

fn to_opportunity_change(feed_event: &FeedEvent, selected_ids: Option<&HashSet<String>>) -> Option<OpportunityChange> {
    let event = &feed_event.event;
    let is_public = event.aggregate_type == record::Opportunity::TYPE && event.tenant_id == PUBLIC_TENANT;
    if !is_public || selected_ids.is_some_and(|ids| !ids.contains(&event.aggregate_id)) {
        return None;
    }
    let token = feed_event.consistency_token();
    Some(OpportunityChange {
        cursor: feed_event.cursor(),
        opportunity_id: event.aggregate_id.clone(),
        version: event.sequence,
        kind: OpportunityChangeKind::from_event_type(&event.event_type)?,
        recorded_at: event.recorded_at,
        consistency_token: token.to_string(),
        token,
    })
}
