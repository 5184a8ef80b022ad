//! Compares a read model with the log, and lists the differences.
//!
//! ```text
//! for each scope of the store: exclusive lock ─▶ read checkpoints, dead letters, rows ─▶ unlock
//! then once through the log:   every event at or below the checkpoint of its partition ─▶ the scope's fold
//! finally:                     rows of the store against rows of the fold
//! ```
//! Workers are blocked only while one scope is read. The comparison is exact while events arrive: a scope matches its
//! checkpoints when it is read, and its fold ends at the same checkpoints.

mod difference;
mod scope_comparison;
mod verify_plan;

use std::sync::Arc;

use domain::{
    context::BoundedContext, envelope::RawEnvelope, event_store::StoreError, log_reader::LogRange,
    partition::partition_for_key,
};

pub use self::difference::{Difference, DifferenceKind};
use self::{difference::compare_rows, scope_comparison::ScopeComparison, verify_plan::plan_passes};
use super::{
    AnyProjection, ControlError, ProjectionRuntime, ReadModelGeneration, consumer::PartitionCounts, error::error_chain,
};
use crate::QueryError;

/// Maximum number of differences that are listed; all are counted.
const MAX_DIFFERENCES: usize = 1_000;

/// Options of verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VerifyOptions {
    /// Number of verify buckets to compare, from a random one on, without totals; `None` compares everything.
    pub sample: Option<u32>,
}

/// Progress of verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyProgress {
    /// Positions of the log read so far, over all passes.
    pub position: u64,
    /// Positions to read in total, over all passes.
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
    /// Events read from the log, over all passes.
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
        let mut report = VerifyReport {
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
        let passes = plan_passes(options, end);
        let total = end.saturating_mul(passes.len() as u64);
        for (completed_passes, scopes) in (0_u64..).zip(&passes) {
            let start = completed_passes * end;
            let mut comparisons = vec![];
            for scope in scopes {
                let comparison = ScopeComparison::read(&self.control, &handle, generation, scope).await?;
                report.rows += comparison.rows.len() as u64;
                progress(VerifyProgress { position: start, end: total, rows: report.rows });
                comparisons.push(comparison);
            }
            let report_position = |position: u64| {
                progress(VerifyProgress { position: (start + position).min(total), end: total, rows: report.rows });
            };
            report.events += self.fold_events(&handle, &mut comparisons, &partitions, report_position).await?;
            for comparison in comparisons {
                report.buckets += comparison.bucket_count();
                report.parked += comparison.left_out;
                report.position = report.position.min(comparison.checkpoint.applied_position(0));
                let differences =
                    compare_rows(comparison.fold.expected_rows(), comparison.rows).chain(comparison.unreadable);
                for difference in differences {
                    report.difference_count += 1;
                    if report.differences.len() < MAX_DIFFERENCES {
                        report.differences.push(difference);
                    }
                }
            }
        }
        Ok(report)
    }

    /// Reads the log, and applies to the fold of each scope the events that the scope includes. Returns the number of
    /// events read.
    async fn fold_events(
        &self,
        projection: &Arc<dyn AnyProjection>,
        comparisons: &mut [ScopeComparison],
        partitions: &PartitionCounts,
        progress: impl Fn(u64),
    ) -> Result<u64, VerifyError> {
        let to =
            comparisons.iter().map(|comparison| comparison.checkpoint.highest_position()).max().unwrap_or_default();
        let range = LogRange {
            contexts: projection.subscribed_contexts().to_vec(),
            aggregate_id: None,
            after: 0,
            to,
            batch_events: projection.batch_limits().batch_events,
            batch_bytes: self.config.batch_bytes,
        };
        let mut cursor = self.log.read_batches(range).await?;
        let mut events = 0;
        while let Some(batch) = cursor.read_next_batch().await? {
            for event in &batch.events {
                events += 1;
                let Some(partition) = self.topic_partition_of(event, partitions) else { continue };
                for comparison in &mut *comparisons {
                    if !comparison.includes_event(event, &partition) {
                        continue;
                    }
                    if let Err(error) = comparison.fold.apply_event(event) {
                        comparison.unreadable.push(Difference::unreadable(event, &error_chain(&error)));
                    }
                }
            }
            progress(batch.watermark);
            // Folding has no await point: this lets other tasks of this thread run between batches.
            tokio::task::yield_now().await;
        }
        Ok(events)
    }

    /// The topic and partition of an event.
    pub(super) fn topic_partition_of(
        &self,
        event: &RawEnvelope,
        partitions: &PartitionCounts,
    ) -> Option<(String, i32)> {
        let topic = BoundedContext::from_aggregate_type(&event.aggregate_type)?.topic(&self.config.topic_prefix);
        let partition = partition_for_key(&event.aggregate_id, partitions.get(&topic).copied()?);
        Some((topic, partition))
    }
}
