//! What happened to proposals; from the log.

use async_graphql::{Context, Object, OneofObject, Result};
use chrono::{DateTime, Utc};
use domain::proposal as record;
use projections::opportunity_views::PointInTime;
use uuid::Uuid;

use crate::graphql::{
    command_dispatch::reading_tenant,
    history::{self, AggregateHistory},
};

/// A moment in the life of a proposal.
#[derive(OneofObject)]
pub(super) enum ProposalMoment {
    /// After the change with this version; null is answered where it has not come so far.
    Version(u64),
    /// After what was recorded up to then.
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

/// What happened.
#[derive(Default)]
pub(in crate::graphql) struct ProposalHistoryQuery;

#[Object]
impl ProposalHistoryQuery {
    /// What happened to a proposal of your company, the oldest first; nothing where it has none with that id.
    async fn proposal_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Uuid,
        #[graphql(desc = "How many, 1 to 100; 20 where nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Continue behind the change with this version.")] after: Option<u64>,
    ) -> Result<AggregateHistory<record::Proposal>> {
        history::load_history(ctx, reading_tenant(ctx)?, &id.to_string(), first, after).await
    }
}
