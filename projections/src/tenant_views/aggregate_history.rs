//! As-of reads of tenants' aggregates, folded from the log, because the read model has only the current states.

use domain::{envelope::RawEnvelope, log_reader::LogReader, value::TenantId};

use super::{
    TenantAggregate,
    stored_aggregate::{AggregateFold, FoldedStream, StoredAggregate},
};
use crate::{PointInTime, QueryError};

const STORE: &str = "the log";

/// Events that are read in one round trip.
const PAGE: u32 = 500;

/// Returns a tenant's aggregate as it was at `moment`; `None` before its first event, and for a version that it has
/// not reached.
///
/// # Errors
/// [`QueryError`] when the log is unavailable or an event cannot be decoded.
pub async fn aggregate_at<A: TenantAggregate>(
    log: &dyn LogReader,
    tenant: &TenantId,
    id: &str,
    moment: PointInTime,
) -> Result<Option<StoredAggregate<A>>, QueryError> {
    let unreadable = |source: Box<dyn std::error::Error + Send + Sync>| QueryError::Unreadable { store: STORE, source };
    let mut folded = FoldedStream::<A>::new();
    loop {
        let page = aggregate_events::<A>(log, tenant, id, folded.version(), PAGE).await?;
        let is_last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        for event in page {
            // Events of a stream are recorded in order of time: all later events are after the moment, too.
            if !moment.includes(&event) {
                return Ok(state_at(folded, moment));
            }
            folded.apply_event(&event).map_err(|error| unreadable(error.into()))?;
        }
        if is_last {
            return Ok(state_at(folded, moment));
        }
    }
}

fn state_at<A: TenantAggregate>(folded: FoldedStream<A>, moment: PointInTime) -> Option<StoredAggregate<A>> {
    match moment {
        PointInTime::Version(expected) if folded.version() < expected => None,
        PointInTime::Version(_) | PointInTime::Time(_) => folded.into_stored(),
    }
}

/// Returns at most `limit` events of a tenant's aggregate with sequences above `after`.
///
/// # Errors
/// [`QueryError`] when the log is unavailable.
pub async fn aggregate_events<A: TenantAggregate>(
    log: &dyn LogReader,
    tenant: &TenantId,
    id: &str,
    after: u64,
    limit: u32,
) -> Result<Vec<RawEnvelope>, QueryError> {
    let events = log.load_stream(A::TYPE, &A::stream_name(tenant, id), after, limit).await;
    events.map_err(|error| QueryError::Unavailable { store: STORE, source: Box::new(error) })
}
