//! The rows that verify expects, folded from the log by other code than the code that writes them.

mod stream_fold;
mod totals_fold;

use chrono::{DateTime, Utc};

use self::{stream_fold::ViewStreamFold, totals_fold::ViewTotalsFold};
use super::{
    figure_deltas::FigureKey,
    key_shard::KeyShard,
    retention_policy::RetentionPolicy,
    view_state::{StateKind, ViewState},
};
use crate::{
    runtime::{ProjectionError, ReadModelFold, ReadModelGeneration, ReadModelRow, VerifyScope},
    storage::redis::VersionedState,
};

/// Table of figures.
pub(super) const FIGURES: &str = "figures";
/// Content of a key that cannot be decoded; never expected.
pub(super) const DAMAGED: &str = "damaged";

/// An empty fold for a scope.
pub(super) fn new_fold(
    scope: &VerifyScope,
    generation: ReadModelGeneration,
    retention: RetentionPolicy,
    now: DateTime<Utc>,
) -> Box<dyn ReadModelFold> {
    match scope {
        VerifyScope::Buckets(_) => Box::new(ViewStreamFold::new(scope.clone(), retention, now)),
        VerifyScope::Totals => Box::new(ViewTotalsFold::new(generation, retention, now)),
    }
}

/// The row of a state. The state is serialized again, so that equal states have equal texts.
pub(super) fn state_row(
    (kind, shard): (StateKind, KeyShard),
    id: &str,
    stored: &VersionedState<ViewState>,
) -> Option<ReadModelRow> {
    let text = stored.state.to_json().ok()?;
    Some(ReadModelRow::new(kind.name(), state_row_key((kind, shard), id), (stored.version, text)))
}

/// The key of a state's row. That of a part names its shard.
pub(super) fn state_row_key((kind, shard): (StateKind, KeyShard), id: &str) -> String {
    if kind.is_part() { format!("{{{shard}}}:{id}") } else { id.to_owned() }
}

/// The key of a figure's row.
pub(super) fn figure_row_key(figure_key: &FigureKey, field: &str) -> String {
    format!("{figure_key} {field}")
}

/// Whether an event is the next of its stream; `false` if it was folded before, an error if events are missing.
fn is_next(id: &str, version: u64, sequence: u64) -> Result<bool, ProjectionError> {
    if sequence <= version {
        return Ok(false);
    }
    if sequence == version + 1 {
        return Ok(true);
    }
    Err(ProjectionError::poison(format!("stream {id}: event {sequence} follows event {version}")))
}

/// Whether a state may have expired.
pub(super) fn may_be_expired(state: &ViewState, retention: RetentionPolicy, now: DateTime<Utc>) -> bool {
    match state {
        ViewState::Visit(day) => !retention.keeps_visit(*day, now),
        ViewState::Opportunity(_) | ViewState::Watchlist(_) => false,
    }
}
