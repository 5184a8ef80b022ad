//! Drives projections: consumes events from Kafka, batches and applies them, retries, commits.
//!
//! ```text
//! recv ──▶ batch ──▶ unpack ──▶ project ──▶ apply ──▶ commit offsets
//!                       │          │           │ Unavailable: again, with growing pauses, for ever
//!                       └──────────┴───────────┴ Poison: never skipped; log it and try again slowly
//! ```
//! Every worker has its own task, consumer and consumer group, so that one sick store delays nobody else.

mod compare;
mod config;
mod delivery;
mod error;
mod generation;
mod hosted;
mod intake;
mod projection;
mod status;
mod worker;

pub use self::{
    compare::{BUCKETS, Fold, Row, Scope, bucket_of},
    config::KafkaConfig,
    error::{ProjectionError, RuntimeError},
    generation::{Generation, InvalidGeneration},
    hosted::{AnyProjection, Projected},
    projection::{Pace, Projection},
    status::{StatusReader, WorkerState, WorkerStatus},
    worker::Worker,
};
