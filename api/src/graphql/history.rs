//! Past states and recorded changes of a company's aggregates, read from the log.

use std::marker::PhantomData;

use async_graphql::{Context, OneofObject, Result, SimpleObject};
use chrono::{DateTime, Utc};
use domain::{
    document::Document, proposal::Proposal, proposal_generation::ProposalGeneration, resource::Resource, task::Task,
    value::TenantId,
};
use projections::{
    PointInTime,
    tenant_views::{StoredAggregate, TenantAggregate, aggregate_at, aggregate_events},
};

use super::{error, pagination, read_models};
use crate::app_context::AppContext;

/// A past state.
#[derive(OneofObject)]
pub(super) enum PastMoment {
    /// The state after the change with this version; the result is null if there is no such version yet.
    Version(u64),
    /// The state at this time, by the time of recording.
    Time(DateTime<Utc>),
}

impl From<PastMoment> for PointInTime {
    fn from(moment: PastMoment) -> Self {
        match moment {
            PastMoment::Version(version) => Self::Version(version),
            PastMoment::Time(time) => Self::Time(time),
        }
    }
}

/// Loads an aggregate of a tenant: the current state from Redis, or a past one from the log.
pub(super) async fn load_as_of<A: TenantAggregate>(
    ctx: &Context<'_>,
    tenant: &TenantId,
    id: &str,
    as_of: Option<impl Into<PointInTime>>,
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

/// A page of recorded changes.
#[derive(SimpleObject)]
#[graphql(
    concrete(name = "ProposalHistory", params(Proposal)),
    concrete(name = "ProposalGenerationHistory", params(ProposalGeneration)),
    concrete(name = "DocumentHistory", params(Document)),
    concrete(name = "ResourceHistory", params(Resource)),
    concrete(name = "TaskHistory", params(Task))
)]
pub(super) struct AggregateHistory<A: TenantAggregate>
where
    HistoryEntry<A>: async_graphql::OutputType,
{
    /// The changes, oldest first.
    changes: Vec<HistoryEntry<A>>,
    /// Whether further changes follow.
    has_more: bool,
}

/// A recorded change.
#[derive(SimpleObject)]
#[graphql(
    concrete(name = "ProposalPastChange", params(Proposal)),
    concrete(name = "ProposalGenerationPastChange", params(ProposalGeneration)),
    concrete(name = "DocumentPastChange", params(Document)),
    concrete(name = "ResourcePastChange", params(Resource)),
    concrete(name = "TaskPastChange", params(Task))
)]
pub(super) struct HistoryEntry<A: TenantAggregate> {
    /// The version after the change; usable in `asOf`.
    version: u64,
    /// Event type, e.g. `proposal.section_edited`.
    kind: String,
    /// User or API key that made the change.
    by: String,
    /// Groups all changes that one request caused; the response to that request has the same value in
    /// `X-Correlation-Id`.
    correlation_id: String,
    /// When it was recorded.
    recorded_at: DateTime<Utc>,
    #[graphql(skip)]
    aggregate: PhantomData<A>,
}

/// Loads a page of the changes of a tenant's aggregate, after the change with version `after`.
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
    let limit = usize::try_from(first).unwrap_or(usize::MAX);
    let has_more = events.len() > limit;
    events.truncate(limit);
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
