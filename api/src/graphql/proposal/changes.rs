//! Telling what happens to proposals, as it happens.

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
    },
};

/// What happens to proposals.
#[derive(Default)]
pub(in crate::graphql) struct ProposalChangesSubscription;

#[Subscription]
impl ProposalChangesSubscription {
    /// Every change to the proposals of your company, once and in the order of the log, from now on or behind a cursor:
    /// sections that are edited, comments, decisions. To miss nothing over a broken connection, subscribe again behind
    /// the cursor of the last change you have seen.
    async fn proposal_changes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Continue behind the change with this cursor, however long ago it was.")] after: Option<
            String,
        >,
        #[graphql(desc = "Only changes to this proposal.")] proposal_id: Option<Uuid>,
    ) -> Result<impl Stream<Item = Result<ProposalChange>> + use<>> {
        let tenant = reading_tenant(ctx)?.clone();
        let wanted = proposal_id.map(|id| tenant.stream_id(id));
        feed_subscription::subscribe_tenant_events(ctx, after, move |happened| {
            to_proposal_change(happened, &tenant, wanted.as_deref())
        })
        .await
    }
}

/// One change to a proposal.
#[derive(SimpleObject)]
#[graphql(complex)]
struct ProposalChange {
    /// Where the log has it; a later subscription continues behind it.
    cursor: String,
    /// The proposal.
    proposal_id: String,
    /// Its version after the change.
    version: u64,
    /// What happened, e.g. `proposal.section_edited`.
    kind: String,
    /// The section that was edited, removed or commented on.
    section: Option<String>,
    /// Who did it.
    by: String,
    /// When it was recorded.
    recorded_at: DateTime<Utc>,
    /// For the extension `consistencyToken` of a query that has to show this change.
    consistency_token: String,
    #[graphql(skip)]
    tenant: TenantId,
    #[graphql(skip)]
    token: ConsistencyToken,
}

#[ComplexObject]
impl ProposalChange {
    /// The proposal with this change in it; later ones may be in it, too.
    async fn proposal(&self, ctx: &Context<'_>) -> Result<Option<ProposalNode>> {
        let reading = read_models::from_context(ctx)?
            .with_token(error::require_context_data(ctx.data::<AppContext>())?, self.token.clone());
        let found = reading.tenant_views().await?.get(&self.tenant, &self.proposal_id).await;
        let found = found.map_err(|error| error::query_error(&error))?;
        Ok(found.and_then(|kept| ProposalNode::from_stored(self.proposal_id.clone(), kept)))
    }
}

fn to_proposal_change(happened: &FeedEvent, tenant: &TenantId, wanted: Option<&str>) -> Option<ProposalChange> {
    let event = &happened.event;
    let is_wanted = wanted.is_none_or(|stream| stream == event.aggregate_id);
    if event.aggregate_type != record::Proposal::TYPE || !is_wanted {
        return None;
    }
    let payload: serde_json::Value = serde_json::from_str(&event.payload).ok()?;
    let token = happened.consistency_token();
    Some(ProposalChange {
        cursor: happened.cursor(),
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
