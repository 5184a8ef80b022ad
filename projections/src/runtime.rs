//! Drives projections: consumes events from Kafka, batches and applies them, retries, parks, rebuilds, verifies.
//!
//! A projection is a small type ([`Projection`]); everything else is here and the same for all of them. Every generation
//! of every projection has a worker of its own, with its own consumer group, so that one sick store delays nobody else.
//! What the runtime has to remember it keeps in Postgres, beside the log ([`Control`]).

mod compare;
mod config;
mod control;
mod dead_letter;
mod delivery;
mod error;
mod generation;
mod hosted;
mod intake;
mod lag;
mod metric;
mod parts;
mod projection;
mod rebuild;
mod register;
mod status;
mod supervisor;
mod token;
mod verify;
mod worker;

pub use self::{
    compare::{BUCKETS, Fold, Row, Scope, bucket_of},
    config::KafkaConfig,
    control::{
        Build, BuildState, Checkpoint, Control, ControlError, Generations, Heartbeat, PartitionMark, Pointer, WorkerRow,
    },
    dead_letter::{DeadLetter, LetterQuery, ParkedSequence, RedriveError, RedriveReport, Redriven, StreamKey},
    error::{ProjectionError, RuntimeError},
    generation::{Generation, InvalidGeneration},
    hosted::{AnyProjection, Projected},
    lag::{Lag, LagError},
    parts::Runtime,
    projection::{Pace, Projection},
    rebuild::{
        PartProgress, Phase, RebuildError, RebuildOptions, RebuildProgress, RebuildRecord, RebuildReport, RebuildState,
    },
    register::RegisterError,
    status::{StatusReader, WorkerState, WorkerStatus},
    supervisor::Supervisor,
    token::{ConsistencyToken, InvalidToken, Reached, TokenError},
    verify::{Difference, DifferenceKind, Verification, VerifyError, VerifyOptions, VerifyProgress},
    worker::Worker,
};
