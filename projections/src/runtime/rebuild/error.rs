//! Why a rebuild came to no end.

use std::fmt::Write as _;

use domain::event_store::StoreError;

use crate::{
    QueryError,
    error::BoxedError,
    runtime::{
        ConsistencyCheckError, ControlError, Generation, RuntimeError, VerifyError, VerifyReport, worker::BatchError,
    },
};

/// How many differences an error names.
const MAX_LISTED_DIFFERENCES: usize = 10;

/// Why a rebuild, a rollback or a drop came to no end. Readers see what they saw before, unless it says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// It was told to stop.
    #[error("interrupted; the same command goes on from here")]
    Interrupted,
    /// What the runtime keeps cannot be read or written.
    #[error("keeping track of a rebuild")]
    Control(#[from] ControlError),
    /// Another rebuild was cut off and waits.
    #[error(
        "rebuild {id} of {projections} was cut off and is not finished; `medhub rebuild {projections}` goes on with it, \
         `medhub rebuild --abandon` gives it up"
    )]
    Unfinished {
        /// Its number.
        id: i64,
        /// Its projections.
        projections: String,
    },
    /// What a rebuild made was given up when that was cut off, or belongs to a log that was put back since.
    #[error(
        "rebuild {id} cannot go on: it was being given up, or the log is another one since it began; `medhub rebuild \
         --abandon` removes what is left of it"
    )]
    Abandoned {
        /// Its number.
        id: i64,
    },
    /// Readers were switched, and those who do not ask this program do not know yet.
    #[error(
        "readers see generation {generation} of {projection} now, but those who do not ask this service (analysts with \
         SQL) read an earlier one: services try to tell them again by themselves, so does `medhub migrate`; nothing was \
         dropped, and `medhub rollback` goes back"
    )]
    Unpublished {
        /// The projection.
        projection: &'static str,
        /// The generation that readers see.
        generation: Generation,
        /// Why not.
        #[source]
        source: QueryError,
    },
    /// The log cannot be read.
    #[error("reading the log")]
    Log(#[from] StoreError),
    /// The broker does not answer.
    #[error("asking the broker about the topics")]
    Kafka(#[source] BoxedError),
    /// A store does not take part.
    #[error("preparing or removing generation {generation} in the store of {projection}")]
    Store {
        /// The projection.
        projection: &'static str,
        /// The generation.
        generation: Generation,
        /// Why not.
        #[source]
        source: QueryError,
    },
    /// A store does not take events.
    #[error("filling generation {generation} of {projection}; the same command goes on from there")]
    Filling {
        /// The projection.
        projection: &'static str,
        /// The generation.
        generation: Generation,
        /// Why not.
        #[source]
        source: BoxedError,
    },
    /// The new generation does not catch up.
    #[error(
        "generation {generation} of {projection} did not catch up within {waited_s} s: it stands at position \
         {position}, the log at {end}; does the relay run (`medhub status`)? The same command goes on"
    )]
    CatchUpTimeout {
        /// The projection.
        projection: &'static str,
        /// The generation.
        generation: Generation,
        /// How long was waited, in seconds.
        waited_s: u64,
        /// How far it is.
        position: u64,
        /// How far the log is.
        end: u64,
    },
    /// Its progress cannot be read.
    #[error("asking how far a generation is")]
    Progress(#[from] ConsistencyCheckError),
    /// A worker of the new generation cannot run.
    #[error("running the worker of a new generation")]
    Worker(#[from] RuntimeError),
    /// It could not be compared with the log.
    #[error("comparing a new generation with the log")]
    Verify(#[from] VerifyError),
    /// It is not what the log says.
    #[error("{}", describe_differences(verification))]
    Differs {
        /// What was found.
        verification: Box<VerifyReport>,
    },
    /// It has dead letters that the live one does not have.
    #[error(
        "generation {generation} of {projection} parked {parked} streams that the live one took in; see `medhub \
         dead-letters list --generation {generation}`; `--allow-parked` switches all the same"
    )]
    NewDeadLetters {
        /// The projection.
        projection: &'static str,
        /// The generation.
        generation: Generation,
        /// How many streams.
        parked: u64,
    },
    /// There is nothing to go back to.
    #[error("there is no earlier generation of {projections} to go back to")]
    NothingRetained {
        /// The projections.
        projections: String,
    },
    /// What readers see cannot be dropped.
    #[error("generation {generation} of {projection} is what readers see; it cannot be dropped")]
    IsActive {
        /// The projection.
        projection: String,
        /// The generation.
        generation: Generation,
    },
    /// A worker does not let go of what is to be dropped.
    #[error("generation {generation} of {projection} is still being written to by {host}; try again")]
    StillFollowed {
        /// The projection.
        projection: String,
        /// The generation.
        generation: Generation,
        /// Where.
        host: String,
    },
}

impl RebuildError {
    pub(super) fn from_fill_error(projection: &'static str, generation: Generation, setback: BatchError) -> Self {
        Self::Filling { projection, generation, source: setback.into() }
    }
}

fn describe_differences(verification: &VerifyReport) -> String {
    let VerifyReport { projection, generation, difference_count: different, differences, .. } = verification;
    let mut text = format!(
        "generation {generation} of {projection} is not what the log says, {different} rows differ; readers were not \
         switched, it is kept to be looked at:"
    );
    for difference in differences.iter().take(MAX_LISTED_DIFFERENCES) {
        // Writing to a string does not fail.
        let _written = write!(text, "\n  {difference}");
    }
    text
}
