//! Errors of matching.

use domain::{envelope::EventDecodeError, event_store::StoreError};
use processes::InstanceStoreError;
use projections::{QueryError, runtime::ControlError};

/// Why opportunities were not matched.
#[derive(Debug, thiserror::Error)]
pub enum MatchingError {
    /// The events of saved searches and members cannot be read.
    #[error("reading saved searches from the log")]
    Log(#[source] StoreError),
    /// A statement failed, or a row cannot be decoded.
    #[error("{doing} in Postgres")]
    Postgres {
        /// The operation, as a gerund.
        doing: &'static str,
        /// The error of Postgres, or of decoding.
        #[source]
        source: sqlx::Error,
    },
    /// An event of a saved search or a member has an unknown shape.
    #[error("an event of saved searches or members is of another release; update this program")]
    UnknownEvent(#[from] EventDecodeError),
    /// The active generation of the search cannot be read.
    #[error("finding the active generation of the search")]
    ReadModelGeneration(#[from] ControlError),
    /// Texts cannot be prepared for comparison.
    #[error("preparing texts for comparison")]
    Search(#[from] QueryError),
    /// Matches and notifications cannot be recorded.
    #[error("recording matches of saved searches")]
    Process(#[from] InstanceStoreError),
    /// All instances that a search may have within an hour are closed; the next hour has others.
    #[error("instance {instance_id} of saved-search-alerts (tenant {tenant_id}) and those before it are closed")]
    NoOpenWindow {
        /// The tenant.
        tenant_id: String,
        /// The last instance.
        instance_id: String,
    },
    /// Matching panicked: a defect of this program.
    #[error("comparing opportunities with saved searches ended unexpectedly")]
    Panicked(#[source] tokio::task::JoinError),
}

pub(crate) fn postgres_error(doing: &'static str) -> impl FnOnce(sqlx::Error) -> MatchingError {
    move |source| MatchingError::Postgres { doing, source }
}
