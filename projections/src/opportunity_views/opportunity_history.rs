//! As-of reads of opportunities, folded from the log, because the read model has only the current states.

use cqrs_es::Aggregate;
use domain::{
    envelope::RawEnvelope,
    log_reader::LogReader,
    opportunity::{Opportunity, OpportunityId},
};

use super::OpportunityView;
use crate::{PointInTime, QueryError};

const STORE: &str = "the log";

/// Events that are read in one round trip.
const PAGE: u32 = 500;

/// Returns an opportunity as it was at `moment`; `None` before it was discovered, and for a version that it has not
/// reached.
///
/// # Errors
/// [`QueryError`] when the log is unavailable or an event cannot be decoded.
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
            // Events of a stream are recorded in order of time: all later events are after the moment, too.
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
    if matches!(moment, PointInTime::Version(expected) if version < expected) {
        return Ok(None);
    }
    Ok(OpportunityView::from_state(id.as_str(), version, &state))
}

/// Returns at most `limit` events of an opportunity with sequences above `after`.
///
/// # Errors
/// [`QueryError`] when the log is unavailable.
pub async fn opportunity_events(
    log: &dyn LogReader,
    id: &OpportunityId,
    after: u64,
    limit: u32,
) -> Result<Vec<RawEnvelope>, QueryError> {
    let events = log.load_stream(Opportunity::TYPE, id.as_str(), after, limit).await;
    events.map_err(|error| QueryError::Unavailable { store: STORE, source: Box::new(error) })
}
