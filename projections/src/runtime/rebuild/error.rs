//! Errors of rebuild, rollback and drop.

use std::fmt::Write as _;

use domain::event_store::StoreError;

use crate::{
    QueryError,
    error::BoxedError,
    runtime::{
        ConsistencyCheckError, ControlError, ReadModelGeneration, RuntimeError, VerifyError, VerifyReport,
        worker::BatchError,
    },
};

/// How many differences an error message lists.
const MAX_LISTED_DIFFERENCES: usize = 10;

/// Why a rebuild, a rollback or a drop failed. The active generations are unchanged, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// It was stopped on request.
    #[error("interrupted; the same command resumes the rebuild")]
    Interrupted,
    /// The runtime's tables cannot be read or written, or refuse the transition.
    #[error("reading or saving the state of a rebuild")]
    Control(#[from] ControlError),
    /// Another rebuild was interrupted and is not finished.
    #[error(
        "rebuild {id} of {projections} was interrupted and is not finished; `medhub rebuild {projections}` resumes it, \
         `medhub rebuild --abandon` abandons it"
    )]
    Unfinished {
        /// The rebuild.
        id: i64,
        /// Its projections.
        projections: String,
    },
    /// Abandoning the rebuild was interrupted, or the log has been restored from a backup since it began.
    #[error(
        "rebuild {id} cannot continue: it was abandoned in part, or the log was restored since it began; \
         `medhub rebuild --abandon` removes what is left of it"
    )]
    Abandoned {
        /// The rebuild.
        id: i64,
    },
    /// The generation is active, but is not published to direct readers of the store yet.
    #[error(
        "generation {generation} of {projection} is active, but direct readers of the store (analysts with SQL) still \
         read an earlier one: services and `medhub migrate` retry; nothing was dropped, and `medhub rollback` switches \
         back"
    )]
    Unpublished {
        /// The projection.
        projection: &'static str,
        /// The active generation.
        generation: ReadModelGeneration,
        /// The cause.
        #[source]
        source: QueryError,
    },
    /// The log cannot be read.
    #[error("reading the log")]
    Log(#[from] StoreError),
    /// The broker does not answer.
    #[error("fetching partitions and offsets from the broker")]
    Kafka(#[source] BoxedError),
    /// A store cannot be prepared, or a generation removed from it.
    #[error("preparing or removing generation {generation} in the store of {projection}")]
    Store {
        /// The projection.
        projection: &'static str,
        /// The generation.
        generation: ReadModelGeneration,
        /// The cause.
        #[source]
        source: QueryError,
    },
    /// Events from the log cannot be applied.
    #[error("filling generation {generation} of {projection}; the same command resumes the rebuild")]
    Filling {
        /// The projection.
        projection: &'static str,
        /// The generation.
        generation: ReadModelGeneration,
        /// The cause.
        #[source]
        source: BoxedError,
    },
    /// The generation did not catch up in time.
    #[error(
        "generation {generation} of {projection} did not catch up within {waited_s} s: it is at position {position}, \
         the log at {end}; check that the relay runs (`medhub status`); the same command resumes the rebuild"
    )]
    CatchUpTimeout {
        /// The projection.
        projection: &'static str,
        /// The generation.
        generation: ReadModelGeneration,
        /// The timeout, in seconds.
        waited_s: u64,
        /// Position up to which the generation has applied events.
        position: u64,
        /// End of the completed prefix of the log.
        end: u64,
    },
    /// The position of the generation cannot be read.
    #[error("reading the position of a generation")]
    Progress(#[from] ConsistencyCheckError),
    /// The worker of the new generation failed.
    #[error("running the worker of a new generation")]
    Worker(#[from] RuntimeError),
    /// The new generation could not be verified.
    #[error("verifying a new generation")]
    Verify(#[from] VerifyError),
    /// The new generation differs from the log.
    #[error("{}", describe_differences(verification))]
    Differs {
        /// The verify report.
        verification: Box<VerifyReport>,
    },
    /// The new generation has dead letters that the active one does not have.
    #[error(
        "generation {generation} of {projection} parked {parked} streams that the active generation applied; \
         `medhub dead-letters list --generation {generation}` lists them, `--allow-parked` switches nevertheless"
    )]
    NewDeadLetters {
        /// The projection.
        projection: &'static str,
        /// The generation.
        generation: ReadModelGeneration,
        /// Number of these streams.
        parked: u64,
    },
    /// There is no earlier generation for a rollback.
    #[error("there is no earlier generation of {projections} to switch back to")]
    NothingRetained {
        /// The projections.
        projections: String,
    },
    /// The active generation cannot be dropped.
    #[error("generation {generation} of {projection} is active; it cannot be dropped")]
    IsActive {
        /// The projection.
        projection: String,
        /// The generation.
        generation: ReadModelGeneration,
    },
    /// A worker still writes to the generation that is to be dropped.
    #[error("generation {generation} of {projection} is still being written to by {host}; try again")]
    StillFollowed {
        /// The projection.
        projection: String,
        /// The generation.
        generation: ReadModelGeneration,
        /// Host name and process id of the worker.
        host: String,
    },
}

impl RebuildError {
    pub(super) fn from_fill_error(
        projection: &'static str,
        generation: ReadModelGeneration,
        error: BatchError,
    ) -> Self {
        Self::Filling { projection, generation, source: error.into() }
    }
}

fn describe_differences(verification: &VerifyReport) -> String {
    let VerifyReport { projection, generation, difference_count: different, differences, .. } = verification;
    let mut text = format!(
        "generation {generation} of {projection} differs from the log in {different} rows; nothing was switched, the \
         generation is retained for inspection:"
    );
    for difference in differences.iter().take(MAX_LISTED_DIFFERENCES) {
        // Writing to a string cannot fail.
        let _written = write!(text, "\n  {difference}");
    }
    text
}
