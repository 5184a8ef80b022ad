//! What the log says that a generation should hold: folded by other code than what writes it.

mod streams;
mod totals;

use chrono::{DateTime, Utc};

use self::{streams::Streams, totals::Totals};
use super::{
    delta::Target,
    lifetime::Lifetime,
    step::Versioned,
    stream::{State, Stream},
};
use crate::runtime::{Fold, Generation, ProjectionError, Row, Scope};

/// Table of the marker.
pub(super) const GENERATION: &str = "generation";
/// Table of everything that is counted.
pub(super) const FIGURES: &str = "figures";
/// Table of keys that nobody knows.
pub(super) const UNKNOWN: &str = "unknown";
/// Content of a key that does not hold what it should; never expected.
pub(super) const DAMAGED: &str = "damaged";

/// An empty fold.
pub(super) fn fold(scope: &Scope, generation: Generation, lifetime: Lifetime, now: DateTime<Utc>) -> Box<dyn Fold> {
    match scope {
        Scope::Buckets(_) => Box::new(Streams::new(scope.clone(), lifetime, now)),
        Scope::Totals => Box::new(Totals::new(generation, lifetime, now)),
    }
}

/// The row of a stream. States are compared by what they mean, in one spelling; `None` for one that has no spelling,
/// which no state is.
pub(super) fn stream_row(stream: Stream, id: &str, stored: &Versioned) -> Option<Row> {
    let text = stored.state.text().ok()?;
    Some(Row::new(stream.name(), id, (stored.version, text)))
}

/// What a figure is about.
pub(super) fn figure_key(target: &Target, field: &str) -> String {
    format!("{} {field}", target.key())
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
fn is_forgotten(state: &State, lifetime: Lifetime, now: DateTime<Utc>) -> bool {
    match state {
        State::Visit(day) => !lifetime.keeps_visit(*day, now),
        State::Opportunity(_) | State::Watchlist(_) => false,
    }
}
