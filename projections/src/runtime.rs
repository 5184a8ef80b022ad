//! Runs projections: consumes events from Kafka, applies them in batches, retries, parks, rebuilds and verifies.
//!
//! A projection is a small type that implements [`Projection`], or [`ForwardingProjection`]; everything else is here and common to all of them. Each
//! generation of each projection has its own worker and consumer group, so that a failing store delays no other
//! projection. The runtime's own state is in Postgres, beside the log ([`ControlStore`]).

mod any_projection;
mod comparison;
mod consistency_token;
mod consumed_record;
mod consumer;
mod consumer_config;
mod control_store;
mod dead_letter;
mod error;
mod forwarding_projection;
mod generation_gauges;
mod generation_lag;
mod projection;
mod projection_runtime;
mod read_model_generation;
mod rebuild;
mod registration;
mod row_scan;
mod supervisor;
mod verify;
mod worker;
mod worker_metrics;
mod worker_status;

pub use self::{
    any_projection::{AnyProjection, ProjectedChanges},
    comparison::{BUCKET_COUNT, ReadModelFold, ReadModelRow, RowScope, VerifyScope, bucket_of},
    consistency_token::{ConsistencyCheckError, ConsistencyStatus, ConsistencyToken, InvalidConsistencyToken},
    consumer_config::ConsumerConfig,
    control_store::{
        Checkpoint, ControlError, ControlStore, GenerationMap, GenerationPointer, GenerationRecord, GenerationState,
        PartitionCheckpoint, WorkerHeartbeat, WorkerRow,
    },
    dead_letter::{DeadLetter, ParkedStream, ParkedStreamQuery, RedriveError, RedriveReport, RedrivenStream},
    error::{ProjectionError, RuntimeError, is_rejected_value},
    forwarding_projection::ForwardingProjection,
    generation_lag::{GenerationLag, LagError},
    projection::{BatchLimits, FetchStrategy, Projection},
    projection_runtime::ProjectionRuntime,
    read_model_generation::{InvalidGeneration, ReadModelGeneration},
    rebuild::{
        RebuildError, RebuildOptions, RebuildPartProgress, RebuildPhase, RebuildProgress, RebuildRecord, RebuildReport,
        RebuildStatus,
    },
    registration::RegisterError,
    row_scan::{RowKey, RowScan, ScannedRow, ScopeSelection},
    supervisor::Supervisor,
    verify::{Difference, DifferenceKind, VerifyError, VerifyOptions, VerifyProgress, VerifyReport},
    worker::Worker,
    worker_status::{StatusReader, WorkerState, WorkerStatus},
};
