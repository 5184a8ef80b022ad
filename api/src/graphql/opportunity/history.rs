//! Opportunities as they were, and what happened to them; from the log.

use async_graphql::{Context, Object, OneofObject, Result, SimpleObject};
use chrono::{DateTime, Utc};
use projections::opportunity_views::{self, PointInTime};

use super::{changes::OpportunityChangeKind, input_validation};
use crate::{
    app_context::AppContext,
    graphql::{error, pagination},
};

/// A moment in the life of an opportunity.
#[derive(OneofObject)]
pub(super) enum OpportunityMoment {
    /// After the change with this version; null is answered where it has not come so far.
    Version(u64),
    /// After what was recorded up to then.
    Time(DateTime<Utc>),
}

impl From<OpportunityMoment> for PointInTime {
    fn from(moment: OpportunityMoment) -> Self {
        match moment {
            OpportunityMoment::Version(version) => Self::Version(version),
            OpportunityMoment::Time(time) => Self::Time(time),
        }
    }
}

/// What happened.
#[derive(Default)]
pub(in crate::graphql) struct OpportunityHistoryQuery;

#[Object]
impl OpportunityHistoryQuery {
    /// What happened to an opportunity, the oldest first; nothing where nothing is on record.
    async fn opportunity_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id, e.g. `097:SPE4A726RX326`.")] id: String,
        #[graphql(desc = "How many, 1 to 100; 20 where nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Continue behind the change with this version.")] after: Option<u64>,
    ) -> Result<OpportunityHistory> {
        let (id, first) = (
            input_validation::parse_opportunity_id("id", &id)?,
            pagination::parse_page_size(first, pagination::DEFAULT_PAGE_SIZE)?,
        );
        let log = error::require_context_data(ctx.data::<AppContext>())?.runtime.log();
        let mut events = opportunity_views::opportunity_events(log, &id, after.unwrap_or_default(), first + 1)
            .await
            .map_err(|error| error::query_error(&error))?;
        let has_more = events.len() > usize::try_from(first).unwrap_or(usize::MAX);
        events.truncate(usize::try_from(first).unwrap_or(usize::MAX));
        let known = events.iter().filter_map(|event| {
            let kind = OpportunityChangeKind::from_event_type(&event.event_type)?;
            Some(OpportunityPastChange { version: event.sequence, kind, recorded_at: event.recorded_at })
        });
        Ok(OpportunityHistory { changes: known.collect(), has_more })
    }
}

/// A part of what happened to an opportunity.
#[derive(SimpleObject)]
struct OpportunityHistory {
    /// What happened, the oldest first.
    changes: Vec<OpportunityPastChange>,
    /// Whether more happened behind the last of them.
    has_more: bool,
}

/// Something that happened to an opportunity.
#[derive(SimpleObject)]
struct OpportunityPastChange {
    /// The opportunity's version after it; for `asOf`.
    version: u64,
    /// What happened.
    kind: OpportunityChangeKind,
    /// When it was recorded.
    recorded_at: DateTime<Utc>,
}
