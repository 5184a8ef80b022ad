//! Recorded changes of proposals, read from the log.

use async_graphql::{Context, Object, OneofObject, Result};
use chrono::{DateTime, Utc};
use domain::proposal as record;
use projections::PointInTime;
use uuid::Uuid;

use crate::graphql::{
    command_dispatch::reading_tenant,
    history::{self, AggregateHistory},
};

/// A past state of a proposal.
#[derive(OneofObject)]
pub(super) enum ProposalMoment {
    /// The state after the change with this version; the result is null if there is no such version yet.
    Version(u64),
    /// The state at this time, by the time of recording.
    Time(DateTime<Utc>),
}

impl From<ProposalMoment> for PointInTime {
    fn from(moment: ProposalMoment) -> Self {
        match moment {
            ProposalMoment::Version(version) => Self::Version(version),
            ProposalMoment::Time(time) => Self::Time(time),
        }
    }
}

/// Query of the changes of a proposal.
#[derive(Default)]
pub(in crate::graphql) struct ProposalHistoryQuery;

#[Object]
impl ProposalHistoryQuery {
    /// Recorded changes of a proposal of your company, oldest first; empty if it has none with that id.
    async fn proposal_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The proposal's id.")] id: Uuid,
        #[graphql(desc = "Page size, 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Continue after the change with this version.")] after: Option<u64>,
    ) -> Result<AggregateHistory<record::Proposal>> {
        history::load_history(ctx, reading_tenant(ctx)?, &id.to_string(), first, after).await
    }
}
