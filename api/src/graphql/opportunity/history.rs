//! Past states and recorded changes of opportunities, read from the log.

use async_graphql::{Context, Object, OneofObject, Result, SimpleObject};
use chrono::{DateTime, Utc};
use projections::{PointInTime, opportunity_views};

use super::{changes::OpportunityChangeKind, input_validation};
use crate::{
    app_context::AppContext,
    graphql::{error, pagination},
};

/// A past state of an opportunity.
#[derive(OneofObject)]
pub(super) enum OpportunityMoment {
    /// The state after the change with this version; the result is null if there is no such version yet.
    Version(u64),
    /// The state at this time, by the time of recording.
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

/// Query of the changes of an opportunity.
#[derive(Default)]
pub(in crate::graphql) struct OpportunityHistoryQuery;

#[Object]
impl OpportunityHistoryQuery {
    /// Recorded changes of an opportunity, oldest first; empty if it is not recorded.
    async fn opportunity_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The opportunity's id, e.g. `097:SPE4A726RX326`.")] id: String,
        #[graphql(desc = "Page size, 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Continue after the change with this version.")] after: Option<u64>,
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
        let changes = events.iter().filter_map(|event| {
            let kind = OpportunityChangeKind::from_event_type(&event.event_type)?;
            Some(OpportunityPastChange { version: event.sequence, kind, recorded_at: event.recorded_at })
        });
        Ok(OpportunityHistory { changes: changes.collect(), has_more })
    }
}

/// A page of the recorded changes of an opportunity.
#[derive(SimpleObject)]
struct OpportunityHistory {
    /// The changes, oldest first.
    changes: Vec<OpportunityPastChange>,
    /// Whether further changes follow.
    has_more: bool,
}

/// A recorded change of an opportunity.
#[derive(SimpleObject)]
struct OpportunityPastChange {
    /// The opportunity's version after the change; usable in `asOf`.
    version: u64,
    /// Kind of the change.
    kind: OpportunityChangeKind,
    /// When it was recorded.
    recorded_at: DateTime<Utc>,
}
