//! Subscription to changes of proposals.

use async_graphql::{ComplexObject, Context, Result, SimpleObject, Subscription};
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use domain::{proposal as record, value::TenantId};
use futures::Stream;
use projections::runtime::ConsistencyToken;
use uuid::Uuid;

use super::node::ProposalNode;
use crate::{
    app_context::AppContext,
    graphql::{
        command_dispatch::reading_tenant,
        error,
        feed_subscription::{self, FeedEvent},
        read_models,
        tenant_node::TenantNode as _,
    },
};

/// Subscription to changes of proposals.
#[derive(Default)]
pub(in crate::graphql) struct ProposalChangesSubscription;

#[Subscription]
impl ProposalChangesSubscription {
    /// Every change of your company's proposals (edited sections, comments, decisions), exactly once and in log order,
    /// starting now or after a cursor. To miss nothing when the connection breaks, subscribe again with the cursor of
    /// the last change you received.
    async fn proposal_changes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Continue after the change with this cursor, of any age.")] after: Option<String>,
        #[graphql(desc = "Only changes of this proposal.")] proposal_id: Option<Uuid>,
    ) -> Result<impl Stream<Item = Result<ProposalChange>> + use<>> {
        let tenant = reading_tenant(ctx)?.clone();
        let selected_stream = proposal_id.map(|id| tenant.stream_id(id));
        feed_subscription::subscribe_tenant_events(ctx, after, move |feed_event| {
            to_proposal_change(feed_event, &tenant, selected_stream.as_deref())
        })
        .await
    }
}

/// A change of a proposal.
#[derive(SimpleObject)]
#[graphql(complex)]
struct ProposalChange {
    /// Cursor of the change; pass it as `after` to continue behind it.
    cursor: String,
    /// The proposal's id.
    proposal_id: String,
    /// The proposal's version after the change.
    version: u64,
    /// Event type, e.g. `proposal.section_edited`.
    kind: String,
    /// Key of the section that was edited, removed or commented on.
    section: Option<String>,
    /// User or API key that made the change.
    by: String,
    /// When it was recorded.
    recorded_at: DateTime<Utc>,
    /// Value for the request extension `consistencyToken`: a query that sends it waits until its read models contain
    /// the change.
    consistency_token: String,
    #[graphql(skip)]
    tenant: TenantId,
    #[graphql(skip)]
    token: ConsistencyToken,
}

#[ComplexObject]
impl ProposalChange {
    /// The proposal including this change, and possibly later ones.
    async fn proposal(&self, ctx: &Context<'_>) -> Result<Option<ProposalNode>> {
        let reading = read_models::from_context(ctx)?
            .with_token(error::require_context_data(ctx.data::<AppContext>())?, self.token.clone());
        let found = reading.tenant_views().await?.get(&self.tenant, &self.proposal_id).await;
        let found = found.map_err(|error| error::query_error(&error))?;
        Ok(found.and_then(|stored| ProposalNode::from_stored(self.proposal_id.clone(), stored)))
    }
}

fn to_proposal_change(
    feed_event: &FeedEvent,
    tenant: &TenantId,
    selected_stream: Option<&str>,
) -> Option<ProposalChange> {
    let event = &feed_event.event;
    let is_selected = selected_stream.is_none_or(|stream| stream == event.aggregate_id);
    if event.aggregate_type != record::Proposal::TYPE || !is_selected {
        return None;
    }
    let payload: serde_json::Value = serde_json::from_str(&event.payload).ok()?;
    let token = feed_event.consistency_token();
    Some(ProposalChange {
        cursor: feed_event.cursor(),
        proposal_id: event.aggregate_id.split_once(':')?.1.to_owned(),
        version: event.sequence,
        kind: event.event_type.clone(),
        section: payload["section"].as_str().map(str::to_owned),
        by: event.metadata.user_id.clone(),
        recorded_at: event.recorded_at,
        consistency_token: token.to_string(),
        tenant: tenant.clone(),
        token,
    })
}
