//! Drives projections: consumes events from Kafka, batches and applies them, retries, parks, rebuilds, verifies.
//!
//! A projection is a small type ([`Projection`]); everything else is here and the same for all of them. Every generation
//! of every projection has a worker of its own, with its own consumer group, so that one sick store delays nobody else.
//! What the runtime has to remember it keeps in Postgres, beside the log ([`ControlStore`]).

mod any_projection;
mod comparison;
mod consistency_token;
mod consumed_record;
mod consumer;
mod consumer_config;
mod control_store;
mod dead_letter;
mod error;
mod generation;
mod generation_lag;
mod projection;
mod projection_runtime;
mod rebuild;
mod registration;
mod supervisor;
mod verify;
mod worker;
mod worker_metrics;
mod worker_status;

pub use self::{
    any_projection::{AnyProjection, ProjectedChanges},
    comparison::{BUCKET_COUNT, ReadModelFold, ReadModelRow, VerifyScope, bucket_of},
    consistency_token::{ConsistencyCheckError, ConsistencyStatus, ConsistencyToken, InvalidConsistencyToken},
    consumer_config::ConsumerConfig,
    control_store::{
        Checkpoint, ControlError, ControlStore, GenerationMap, GenerationPointer, GenerationRecord, GenerationState,
        PartitionCheckpoint, WorkerHeartbeat, WorkerRow,
    },
    dead_letter::{
        DeadLetter, ParkedStream, ParkedStreamQuery, RedriveError, RedriveReport, RedrivenStream, StreamKey,
    },
    error::{ProjectionError, RuntimeError},
    generation::{Generation, InvalidGeneration},
    generation_lag::{GenerationLag, LagError},
    projection::{BatchLimits, Projection},
    projection_runtime::ProjectionRuntime,
    rebuild::{
        PartPhase, PartProgress, RebuildError, RebuildOptions, RebuildProgress, RebuildRecord, RebuildReport,
        RebuildStatus,
    },
    registration::RegisterError,
    supervisor::Supervisor,
    verify::{Difference, DifferenceKind, VerifyError, VerifyOptions, VerifyProgress, VerifyReport},
    worker::Worker,
    worker_status::{StatusReader, WorkerState, WorkerStatus},
};
