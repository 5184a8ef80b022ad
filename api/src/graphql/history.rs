//! What happened to what a company owns, and when; from the log.

use std::marker::PhantomData;

use async_graphql::{Context, OneofObject, Result, SimpleObject};
use chrono::{DateTime, Utc};
use domain::{document::Document, proposal::Proposal, resource::Resource, task::Task, value::TenantId};
use projections::{
    opportunity_views,
    tenant_views::{StoredAggregate, TenantAggregate, aggregate_at, aggregate_events},
};

use super::{error, pagination, read_models};
use crate::app_context::AppContext;

/// A moment in the life of something.
#[derive(OneofObject)]
pub(super) enum PastMoment {
    /// After the change with this version; null is answered where it has not come so far.
    Version(u64),
    /// After what was recorded up to then.
    Time(DateTime<Utc>),
}

impl From<PastMoment> for opportunity_views::PointInTime {
    fn from(moment: PastMoment) -> Self {
        match moment {
            PastMoment::Version(version) => Self::Version(version),
            PastMoment::Time(time) => Self::Time(time),
        }
    }
}

/// Something that a tenant owns: as it is, from Redis, or as it was, from the log.
pub(super) async fn load_as_of<A: TenantAggregate>(
    ctx: &Context<'_>,
    tenant: &TenantId,
    id: &str,
    as_of: Option<impl Into<opportunity_views::PointInTime>>,
) -> Result<Option<StoredAggregate<A>>> {
    let found = match as_of {
        None => read_models::from_context(ctx)?.tenant_views().await?.get(tenant, id).await,
        Some(moment) => {
            let log = error::require_context_data(ctx.data::<AppContext>())?.runtime.log();
            aggregate_at(log, tenant, id, moment.into()).await
        }
    };
    found.map_err(|error| error::query_error(&error))
}

/// A part of what happened.
#[derive(SimpleObject)]
#[graphql(
    concrete(name = "ProposalHistory", params(Proposal)),
    concrete(name = "DocumentHistory", params(Document)),
    concrete(name = "ResourceHistory", params(Resource)),
    concrete(name = "TaskHistory", params(Task))
)]
pub(super) struct AggregateHistory<A: TenantAggregate>
where
    HistoryEntry<A>: async_graphql::OutputType,
{
    /// What happened, the oldest first.
    changes: Vec<HistoryEntry<A>>,
    /// Whether more happened behind the last of them.
    has_more: bool,
}

/// Something that happened.
#[derive(SimpleObject)]
#[graphql(
    concrete(name = "ProposalPastChange", params(Proposal)),
    concrete(name = "DocumentPastChange", params(Document)),
    concrete(name = "ResourcePastChange", params(Resource)),
    concrete(name = "TaskPastChange", params(Task))
)]
pub(super) struct HistoryEntry<A: TenantAggregate> {
    /// The version after it; for `asOf`.
    version: u64,
    /// What happened, e.g. `proposal.section_edited`.
    kind: String,
    /// Who did it.
    by: String,
    /// Groups what one request set in motion; the answer to it has the same as `X-Correlation-Id`.
    correlation_id: String,
    /// When it was recorded.
    recorded_at: DateTime<Utc>,
    #[graphql(skip)]
    aggregate: PhantomData<A>,
}

/// What happened to something that a tenant owns, behind the change with version `after`.
pub(super) async fn load_history<A: TenantAggregate>(
    ctx: &Context<'_>,
    tenant: &TenantId,
    id: &str,
    first: Option<i32>,
    after: Option<u64>,
) -> Result<AggregateHistory<A>>
where
    HistoryEntry<A>: async_graphql::OutputType,
{
    let first = pagination::parse_page_size(first, pagination::DEFAULT_PAGE_SIZE)?;
    let log = error::require_context_data(ctx.data::<AppContext>())?.runtime.log();
    let found = aggregate_events::<A>(log, tenant, id, after.unwrap_or_default(), first + 1).await;
    let mut events = found.map_err(|error| error::query_error(&error))?;
    let most = usize::try_from(first).unwrap_or(usize::MAX);
    let has_more = events.len() > most;
    events.truncate(most);
    let changes = events.into_iter().map(|event| HistoryEntry {
        version: event.sequence,
        kind: event.event_type,
        by: event.metadata.user_id,
        correlation_id: event.metadata.correlation_id,
        recorded_at: event.recorded_at,
        aggregate: PhantomData,
    });
    Ok(AggregateHistory { changes: changes.collect(), has_more })
}
