//! What tenants own as it was: folded from the log, since a read model knows only how it is.

use domain::{envelope::RawRecorded, log::LogReader, value::TenantId};

use super::{
    Owned,
    kept::{Folded, Folding, Kept},
};
use crate::{QueryError, views::Moment};

const STORE: &str = "the log";

/// Events that are read together.
const PAGE: u32 = 500;

/// What a tenant owned, as it was; `None` before it was begun, and for a version that it has not come to.
///
/// # Errors
/// [`QueryError`] when the log does not answer, or holds an event that cannot be understood.
pub async fn owned_at<A: Owned>(
    log: &dyn LogReader,
    tenant: &TenantId,
    id: &str,
    moment: Moment,
) -> Result<Option<Kept<A>>, QueryError> {
    let unreadable = |source: Box<dyn std::error::Error + Send + Sync>| QueryError::Unreadable { store: STORE, source };
    let mut folded = Folded::<A>::stored(0, None).map_err(|error| unreadable(error.into()))?;
    loop {
        let page = owned_events::<A>(log, tenant, id, folded.version(), PAGE).await?;
        let is_last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        for event in page {
            // Events of a stream are recorded one after the other: nothing behind the moment comes before it.
            if !moment.includes(&event) {
                return Ok(reached(folded, moment));
            }
            folded.take(&event).map_err(|error| unreadable(error.into()))?;
        }
        if is_last {
            return Ok(reached(folded, moment));
        }
    }
}

fn reached<A: Owned>(folded: Folded<A>, moment: Moment) -> Option<Kept<A>> {
    match moment {
        Moment::Version(wanted) if folded.version() < wanted => None,
        Moment::Version(_) | Moment::Time(_) => folded.into_kept(),
    }
}

/// What happened to something that a tenant owns, behind a version, `limit` events at most.
///
/// # Errors
/// [`QueryError`] when the log does not answer.
pub async fn owned_events<A: Owned>(
    log: &dyn LogReader,
    tenant: &TenantId,
    id: &str,
    after: u64,
    limit: u32,
) -> Result<Vec<RawRecorded>, QueryError> {
    let events = log.of_stream(A::TYPE, &A::stream(tenant, id), after, limit).await;
    events.map_err(|error| QueryError::Unavailable { store: STORE, source: Box::new(error) })
}
