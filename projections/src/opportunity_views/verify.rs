//! What the log says that a generation should hold: folded by other code than what writes it.

mod stream_fold;
mod totals_fold;

use chrono::{DateTime, Utc};

use self::{stream_fold::ViewStreamFold, totals_fold::ViewTotalsFold};
use super::{
    figure_deltas::FigureKey,
    retention_policy::RetentionPolicy,
    state_transition::VersionedState,
    view_state::{StreamKind, ViewState},
};
use crate::runtime::{Generation, ProjectionError, ReadModelFold, ReadModelRow, VerifyScope};

/// Table of the marker.
pub(super) const GENERATION: &str = "generation";
/// Table of everything that is counted.
pub(super) const FIGURES: &str = "figures";
/// Table of keys that nobody knows.
pub(super) const UNKNOWN: &str = "unknown";
/// Content of a key that does not hold what it should; never expected.
pub(super) const DAMAGED: &str = "damaged";

/// An empty fold.
pub(super) fn new_fold(
    scope: &VerifyScope,
    generation: Generation,
    lifetime: RetentionPolicy,
    now: DateTime<Utc>,
) -> Box<dyn ReadModelFold> {
    match scope {
        VerifyScope::Buckets(_) => Box::new(ViewStreamFold::new(scope.clone(), lifetime, now)),
        VerifyScope::Totals => Box::new(ViewTotalsFold::new(generation, lifetime, now)),
    }
}

/// The row of a stream. States are compared by what they mean, in one spelling; `None` for one that has no spelling,
/// which no state is.
pub(super) fn stream_row(stream: StreamKind, id: &str, stored: &VersionedState) -> Option<ReadModelRow> {
    let text = stored.state.to_json().ok()?;
    Some(ReadModelRow::new(stream.name(), id, (stored.version, text)))
}

/// What a figure is about.
pub(super) fn figure_row_key(target: &FigureKey, field: &str) -> String {
    format!("{} {field}", target.redis_key())
}

/// Whether an event is the next of its stream; `false` when it is known.
fn is_next(id: &str, version: u64, sequence: u64) -> Result<bool, ProjectionError> {
    if sequence <= version {
        return Ok(false);
    }
    if sequence == version + 1 {
        return Ok(true);
    }
    Err(ProjectionError::poison(format!("stream {id}: event {sequence} follows event {version}")))
}

/// Whether it is too late to ask for a visit.
fn is_expired(state: &ViewState, lifetime: RetentionPolicy, now: DateTime<Utc>) -> bool {
    match state {
        ViewState::Visit(day) => !lifetime.keeps_visit(*day, now),
        ViewState::Opportunity(_) | ViewState::Watchlist(_) => false,
    }
}
