//! Opportunities as they were: folded from the log, since a read model knows only how they are.

use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use domain::{
    envelope::RawEnvelope,
    log_reader::LogReader,
    opportunity::{Opportunity, OpportunityId},
};

use super::OpportunityView;
use crate::QueryError;

const STORE: &str = "the log";

/// Events that are read together.
const PAGE: u32 = 500;

/// A moment in the life of an opportunity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointInTime {
    /// After its event with this sequence.
    Version(u64),
    /// After what was recorded up to then, that moment included.
    Time(DateTime<Utc>),
}

impl PointInTime {
    pub(crate) fn includes(self, event: &RawEnvelope) -> bool {
        match self {
            Self::Version(version) => event.sequence <= version,
            Self::Time(time) => event.recorded_at <= time,
        }
    }
}

/// An opportunity as it was; `None` before it was discovered, and for a version that it has not come to.
///
/// # Errors
/// [`QueryError`] when the log does not answer, or holds an event that cannot be understood.
pub async fn opportunity_at(
    log: &dyn LogReader,
    id: &OpportunityId,
    moment: PointInTime,
) -> Result<Option<OpportunityView>, QueryError> {
    let (mut state, mut version) = (Opportunity::default(), 0);
    'pages: loop {
        let page = opportunity_events(log, id, version, PAGE).await?;
        let is_last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        for event in page {
            // Events of a stream are recorded one after the other: nothing behind the moment comes before it.
            if !moment.includes(&event) {
                break 'pages;
            }
            version = event.sequence;
            let unreadable = |error| QueryError::Unreadable { store: STORE, source: Box::new(error) };
            state.evolve(event.decode().map_err(unreadable)?);
        }
        if is_last {
            break;
        }
    }
    if matches!(moment, PointInTime::Version(wanted) if version < wanted) {
        return Ok(None);
    }
    Ok(OpportunityView::from_state(id.as_str(), version, &state))
}

/// What happened to an opportunity behind a version, `limit` events at most.
///
/// # Errors
/// [`QueryError`] when the log does not answer.
pub async fn opportunity_events(
    log: &dyn LogReader,
    id: &OpportunityId,
    after: u64,
    limit: u32,
) -> Result<Vec<RawEnvelope>, QueryError> {
    let events = log.load_stream(Opportunity::TYPE, id.as_str(), after, limit).await;
    events.map_err(|error| QueryError::Unavailable { store: STORE, source: Box::new(error) })
}
