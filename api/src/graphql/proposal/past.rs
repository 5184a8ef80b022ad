//! What happened to proposals; from the log.

use async_graphql::{Context, Object, OneofObject, Result, SimpleObject};
use chrono::{DateTime, Utc};
use domain::proposal as record;
use projections::{views::Moment, workspace::owned_events};
use uuid::Uuid;

use crate::{
    graphql::{error, outcome::reader, page},
    store::Stores,
};

/// A moment in the life of a proposal.
#[derive(OneofObject)]
pub(super) enum ProposalMoment {
    /// After the change with this version; null is answered where it has not come so far.
    Version(u64),
    /// After what was recorded up to then.
    Time(DateTime<Utc>),
}

impl From<ProposalMoment> for Moment {
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
    #[graphql(complexity = "page::complexity(first, page::DEFAULT, child_complexity)")]
    async fn proposal_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Uuid,
        #[graphql(desc = "How many, 1 to 100; 20 where nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Continue behind the change with this version.")] after: Option<u64>,
    ) -> Result<ProposalHistory> {
        let (tenant, first) = (reader(ctx)?, page::size(first, page::DEFAULT)?);
        let log = error::wired(ctx.data::<Stores>())?.runtime.log();
        let after = after.unwrap_or_default();
        let mut events = owned_events::<record::Proposal>(log, tenant, &id.to_string(), after, first + 1)
            .await
            .map_err(|error| error::query(&error))?;
        let has_more = events.len() > usize::try_from(first).unwrap_or(usize::MAX);
        events.truncate(usize::try_from(first).unwrap_or(usize::MAX));
        let changes = events.into_iter().map(|event| ProposalPastChange {
            version: event.sequence,
            kind: event.event_type,
            by: event.metadata.user_id,
            correlation_id: event.metadata.correlation_id,
            recorded_at: event.recorded_at,
        });
        Ok(ProposalHistory { changes: changes.collect(), has_more })
    }
}

/// A part of what happened to a proposal.
#[derive(SimpleObject)]
struct ProposalHistory {
    /// What happened, the oldest first.
    changes: Vec<ProposalPastChange>,
    /// Whether more happened behind the last of them.
    has_more: bool,
}

/// Something that happened to a proposal.
#[derive(SimpleObject)]
struct ProposalPastChange {
    /// The proposal's version after it; for `asOf`.
    version: u64,
    /// What happened, e.g. `proposal.section_edited`.
    kind: String,
    /// Who did it.
    by: String,
    /// Groups what one request set in motion; the answer to it has the same as `X-Correlation-Id`.
    correlation_id: String,
    /// When it was recorded.
    recorded_at: DateTime<Utc>,
}
