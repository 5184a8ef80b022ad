//! Telling what happens to opportunities, as it happens.

use std::collections::HashSet;

use async_graphql::{ComplexObject, Context, Enum, Result, SimpleObject, Subscription};
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use domain::{envelope::PUBLIC_TENANT, opportunity as record};
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

/// Most opportunities that one subscription names.
const MAX_IDS: usize = 500;

/// What happens to opportunities.
#[derive(Default)]
pub(in crate::graphql) struct OpportunityChangesSubscription;

#[Subscription]
impl OpportunityChangesSubscription {
    /// Every change to opportunities, once and in the order of the log, from now on or behind a cursor. To miss nothing
    /// over a broken connection, subscribe again behind the cursor of the last change you have seen.
    async fn opportunity_changes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Continue behind the change with this cursor, however long ago it was.")] after: Option<
            String,
        >,
        #[graphql(desc = "Only changes to these opportunities; 1 to 500.")] ids: Option<Vec<String>>,
    ) -> Result<impl Stream<Item = Result<OpportunityChange>> + use<>> {
        let wanted = ids.map(|ids| parse_opportunity_ids(&ids)).transpose()?;
        feed_subscription::subscribe_events(ctx, after, move |happened| {
            to_opportunity_change(happened, wanted.as_ref())
        })
        .await
    }
}

/// One change to an opportunity.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(super) struct OpportunityChange {
    /// Where the log has it; a later subscription continues behind it.
    cursor: String,
    /// The opportunity.
    opportunity_id: String,
    /// Its version after the change.
    version: u64,
    /// What happened.
    kind: OpportunityChangeKind,
    /// When it was recorded.
    recorded_at: DateTime<Utc>,
    /// For the extension `consistencyToken` of a query that has to show this change.
    consistency_token: String,
    #[graphql(skip)]
    token: ConsistencyToken,
}

/// What can happen to an opportunity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum OpportunityChangeKind {
    /// Its first notice was published.
    Discovered,
    /// A notice changed what is on record.
    Amended,
    /// Responses are taken until another time.
    DeadlineChanged,
    /// Somebody won it, or another contract.
    Awarded,
    /// The agency no longer wants it.
    Cancelled,
    /// It is over.
    Archived,
}

impl OpportunityChangeKind {
    /// What an event of this name is; `None` for one that a newer program recorded.
    pub(super) fn from_event_type(event_type: &str) -> Option<Self> {
        match event_type {
            "opportunity.discovered" => Some(Self::Discovered),
            "opportunity.amended" => Some(Self::Amended),
            "opportunity.deadline_changed" => Some(Self::DeadlineChanged),
            "opportunity.awarded" => Some(Self::Awarded),
            "opportunity.cancelled" => Some(Self::Cancelled),
            "opportunity.archived" => Some(Self::Archived),
            newer => {
                tracing::warn!(event.r#type = newer, "callers cannot be told of this kind of event");
                None
            }
        }
    }
}

#[ComplexObject]
impl OpportunityChange {
    /// The opportunity with this change in it; later ones may be in it, too.
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
        return Err(error::invalid_field("ids", format!("name 1 to {MAX_IDS} opportunities")));
    }
    ids.iter().map(|id| input_validation::parse_opportunity_id("ids", id).map(|id| id.to_string())).collect()
}

fn to_opportunity_change(happened: &FeedEvent, wanted: Option<&HashSet<String>>) -> Option<OpportunityChange> {
    let event = &happened.event;
    let is_public = event.aggregate_type == record::Opportunity::TYPE && event.tenant_id == PUBLIC_TENANT;
    if !is_public || wanted.is_some_and(|ids| !ids.contains(&event.aggregate_id)) {
        return None;
    }
    let token = happened.consistency_token();
    Some(OpportunityChange {
        cursor: happened.cursor(),
        opportunity_id: event.aggregate_id.clone(),
        version: event.sequence,
        kind: OpportunityChangeKind::from_event_type(&event.event_type)?,
        recorded_at: event.recorded_at,
        consistency_token: token.to_string(),
        token,
    })
}
