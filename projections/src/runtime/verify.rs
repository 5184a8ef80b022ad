//! Compares a read model with the log, and lists the differences.
//!
//! ```text
//! for each scope of the store: exclusive lock ─▶ read checkpoints, dead letters, rows ─▶ unlock
//! then every event of the log: if it is at or below the checkpoint of its partition ─▶ the scope's fold
//! finally:                     rows of the store against rows of the fold
//! ```
//! Workers are blocked only while one scope is read. The comparison is exact while events arrive: a scope matches its
//! checkpoints when it is read, and its fold ends at the same checkpoints.
//!
//! A long log is compared in several passes, each with the streams of some buckets, so that memory is bounded. Events and
//! rows of further passes wait in files: see [`event_spill`]. A store that cannot select the rows of some buckets is
//! scanned once, without the lock, and its scopes are compared with the checkpoints at the end of the scan; rows that
//! differ, and totals that have changed meanwhile, are read again as above before they are reported, and their pass is
//! folded again: see [`scanned_store`].

mod applied_events;
mod difference;
mod event_fold;
mod event_spill;
mod row_spill;
mod scanned_store;
mod scope_comparison;
mod spill_file;
mod verify_plan;
mod verify_run;

use domain::{context::BoundedContext, envelope::RawEnvelope, event_store::StoreError, partition::partition_for_key};

pub use self::difference::{Difference, DifferenceKind};
use self::{scope_comparison::ScopeComparison, verify_plan::plan_passes, verify_run::VerifyRun};
use super::{AnyProjection, ControlError, ProjectionRuntime, ReadModelGeneration, consumer::PartitionCounts};
use crate::QueryError;

/// Maximum number of differences that are listed; all are counted.
const MAX_DIFFERENCES: usize = 1_000;

/// Options of verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyOptions {
    /// Number of verify buckets to compare, from a random one on, without totals; `None` compares everything.
    pub sample: Option<u32>,
    /// Approximate number of events that are folded in one pass, in memory: each takes some 500 bytes. Events of further
    /// passes wait in temporary files, and so do the rows of a store that is scanned once.
    pub pass_events: u64,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { sample: None, pass_events: 500_000 }
    }
}

/// Progress of verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyProgress {
    /// Positions of the log compared so far; each counts twice if there are several passes. They begin again when the log is
    /// read once more, for totals that have changed during a scan.
    pub position: u64,
    /// Positions to compare in total, counted in the same way.
    pub end: u64,
    /// Rows read from the store so far.
    pub rows: u64,
}

/// The outcome of verify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// The projection.
    pub projection: String,
    /// The generation.
    pub generation: ReadModelGeneration,
    /// Position of the log up to which all scopes were compared.
    pub position: u64,
    /// Rows read from the store.
    pub rows: u64,
    /// Events read from the log.
    pub events: u64,
    /// Verify buckets compared, of 256.
    pub buckets: u32,
    /// Whether totals were compared.
    pub totals: bool,
    /// Events left out on both sides because they are parked or dropped.
    pub parked: u64,
    /// The first 1000 differences.
    pub differences: Vec<Difference>,
    /// Number of all differences.
    pub difference_count: u64,
}

impl VerifyReport {
    /// Whether there are no differences.
    pub fn is_clean(&self) -> bool {
        self.difference_count == 0
    }

    fn count_scopes(&mut self, comparisons: &[ScopeComparison]) {
        for comparison in comparisons {
            self.buckets += comparison.bucket_count();
            self.parked += comparison.left_out;
            self.position = self.position.min(comparison.applied.checkpoint.applied_position(0));
        }
    }

    fn add_differences(&mut self, differences: impl IntoIterator<Item = Difference>) {
        for difference in differences {
            self.difference_count += 1;
            if self.differences.len() < MAX_DIFFERENCES {
                self.differences.push(difference);
            }
        }
    }
}

/// Why verify failed.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Checkpoints or dead letters cannot be read.
    #[error("reading checkpoints and dead letters")]
    Control(#[from] ControlError),
    /// The store does not answer.
    #[error("reading the store of projection {projection}")]
    Store {
        /// The projection.
        projection: &'static str,
        /// The cause.
        #[source]
        source: QueryError,
    },
    /// The log cannot be read.
    #[error("reading the log")]
    Log(#[from] StoreError),
    /// A temporary file cannot be written or read. It holds the events of a long log, or the rows of its store.
    #[error(
        "keeping events and rows in temporary files, which need a fifth of the log's size and some 60 bytes for each row; \
         TMPDIR names their folder"
    )]
    TemporaryFile(#[source] std::io::Error),
    /// The broker does not return the partition counts.
    #[error("fetching partition counts from the broker")]
    Kafka(#[source] crate::error::BoxedError),
    /// The generation was built from another incarnation of the log.
    #[error("generation {generation} of {projection} was built from another log; run `medhub rebuild {projection}`")]
    OtherIncarnation {
        /// The projection.
        projection: &'static str,
        /// The generation.
        generation: ReadModelGeneration,
    },
}

impl ProjectionRuntime {
    /// Compares a generation with the log.
    ///
    /// # Errors
    /// [`VerifyError`] when the comparison could not be completed; differences are no error.
    pub async fn verify(
        &self,
        projection: &dyn AnyProjection,
        generation: ReadModelGeneration,
        options: VerifyOptions,
        progress: impl Fn(VerifyProgress) + Send + Sync,
    ) -> Result<VerifyReport, VerifyError> {
        let name = projection.name();
        let build = self.control.load_generation(name, generation).await?;
        if build.incarnation != self.log.incarnation().await? {
            return Err(VerifyError::OtherIncarnation { projection: name, generation });
        }
        let handle = projection.with_generation(generation);
        let partitions = self.partition_counts(projection).await.map_err(|error| VerifyError::Kafka(error.into()))?;
        let end = self.log.load_fence().await?;
        let report = VerifyReport {
            projection: name.to_owned(),
            generation,
            position: end,
            rows: 0,
            events: 0,
            buckets: 0,
            totals: options.sample.is_none(),
            parked: 0,
            differences: vec![],
            difference_count: 0,
        };
        let (progress, scanned_rows) = (&progress, 0);
        let run = VerifyRun { runtime: self, projection: handle, partitions, end, progress, report, scanned_rows };
        run.compare_passes(&plan_passes(options, end), end > options.pass_events).await
    }

    /// The topic and partition of an event.
    pub(super) fn find_topic_partition(
        &self,
        event: &RawEnvelope,
        partitions: &PartitionCounts,
    ) -> Option<(String, i32)> {
        let topic = BoundedContext::from_aggregate_type(&event.aggregate_type)?.topic(&self.config.topic_prefix);
        let partition = partition_for_key(&event.aggregate_id, partitions.get(&topic).copied()?);
        Some((topic, partition))
    }
}
