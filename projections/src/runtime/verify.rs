//! Compares a read model with the log, and names what differs.
//!
//! ```text
//! for each part of the store:  alone with it ─▶ its checkpoints, its dead letters, its rows ─▶ let workers go on
//! then once through the log:   every event at or below the checkpoint of its partition ─▶ the part's fold
//! at last:                     rows of the store against rows of the fold
//! ```
//! Workers stand still only while one part is read, and what is compared is exact at any traffic: the part stands at
//! its checkpoints when it is read, and the fold ends there.

mod difference;
mod verify_part;
mod verify_plan;

use std::sync::Arc;

use domain::{
    context::BoundedContext, envelope::RawEnvelope, event_store::StoreError, log_reader::LogRange,
    partition::partition_for_key,
};

pub use self::difference::{Difference, DifferenceKind};
use self::{difference::compare_rows, verify_part::VerifyPart, verify_plan::plan_passes};
use super::{
    AnyProjection, ControlError, Generation, ProjectionRuntime, consumer::PartitionCounts, error::error_chain,
};
use crate::QueryError;

/// Events that one pass through the log may concern: bounds the memory, some 500 bytes for each.
const EVENTS_PER_PASS: u64 = 500_000;

/// Differences that are named; more are counted.
const MAX_DIFFERENCES: usize = 1_000;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VerifyOptions {
    /// Only so many of the 256 buckets that streams are spread over, chosen anew each time, and no totals.
    pub sample: Option<u32>,
}

/// How far a comparison is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyProgress {
    /// Positions of the log that were read, over all passes.
    pub position: u64,
    /// How many there are to read.
    pub end: u64,
    /// Rows that were read from the store.
    pub rows: u64,
}

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// The projection.
    pub projection: String,
    /// The generation.
    pub generation: Generation,
    /// Up to this position of the log it was compared, at least.
    pub position: u64,
    /// Rows of the store.
    pub rows: u64,
    /// Events of the log.
    pub events: u64,
    /// Buckets that were compared, of 256.
    pub buckets: u32,
    /// Whether figures over all streams were compared, too.
    pub totals: bool,
    /// Events that are left out on both sides because they are dead letters.
    pub parked: u64,
    /// What differs, named, up to a thousand.
    pub differences: Vec<Difference>,
    /// What differs in all.
    pub difference_count: u64,
}

impl VerifyReport {
    /// Whether the store is what the log says.
    pub fn is_clean(&self) -> bool {
        self.difference_count == 0
    }
}

/// Why a comparison came to no end.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Checkpoints or dead letters cannot be read.
    #[error("reading checkpoints")]
    Control(#[from] ControlError),
    /// The store does not answer.
    #[error("reading the store of projection {projection}")]
    Store {
        /// The projection.
        projection: &'static str,
        /// Why not.
        #[source]
        source: QueryError,
    },
    /// The log cannot be read.
    #[error("reading the log")]
    Log(#[from] StoreError),
    /// The broker does not say how many partitions there are.
    #[error("asking the broker for partitions")]
    Kafka(#[source] crate::error::BoxedError),
    /// The generation was made from another log.
    #[error("generation {generation} of {projection} was made from another log; `medhub rebuild {projection}`")]
    OtherIncarnation {
        /// The projection.
        projection: &'static str,
        /// The generation.
        generation: Generation,
    },
}

impl ProjectionRuntime {
    /// Compares a generation with the log.
    ///
    /// # Errors
    /// [`VerifyError`] when something needed for it is away; differences are no error.
    pub async fn verify(
        &self,
        projection: &dyn AnyProjection,
        generation: Generation,
        options: VerifyOptions,
        progress: impl Fn(VerifyProgress) + Send + Sync,
    ) -> Result<VerifyReport, VerifyError> {
        let name = projection.name();
        let build = self.control.load_generation(name, generation).await?;
        if build.incarnation != self.log.incarnation().await? {
            return Err(VerifyError::OtherIncarnation { projection: name, generation });
        }
        let sink = projection.with_generation(generation);
        let partitions = self.partition_counts(projection).await.map_err(|error| VerifyError::Kafka(error.into()))?;
        let end = self.log.completed_prefix().await?;
        let mut found = VerifyReport {
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
        let passes = plan_passes(options, end.div_ceil(EVENTS_PER_PASS).max(1));
        let all = end.saturating_mul(passes.len() as u64);
        for (done, scopes) in (0_u64..).zip(&passes) {
            let mut snapshots = vec![];
            for scope in scopes {
                let snapshot = VerifyPart::read(&self.control, &sink, generation, scope).await?;
                found.rows += snapshot.rows.len() as u64;
                progress(VerifyProgress { position: done * end, end: all, rows: found.rows });
                snapshots.push(snapshot);
            }
            let at = |position: u64| {
                progress(VerifyProgress { position: (done * end + position).min(all), end: all, rows: found.rows });
            };
            found.events += self.feed_folds(&sink, &mut snapshots, &partitions, at).await?;
            for snapshot in snapshots {
                found.buckets += snapshot.bucket_count();
                found.parked += snapshot.left_out;
                found.position = found.position.min(snapshot.checkpoint.completed_prefix(0));
                let differences = compare_rows(snapshot.fold.expected_rows(), snapshot.rows).chain(snapshot.unreadable);
                for difference in differences {
                    found.difference_count += 1;
                    if found.differences.len() < MAX_DIFFERENCES {
                        found.differences.push(difference);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Feeds every event that a part has taken in to its fold; answers with how many events there were.
    async fn feed_folds(
        &self,
        sink: &Arc<dyn AnyProjection>,
        snapshots: &mut [VerifyPart],
        partitions: &PartitionCounts,
        progress: impl Fn(u64),
    ) -> Result<u64, VerifyError> {
        let to = snapshots.iter().map(|snapshot| snapshot.checkpoint.highest_position()).max().unwrap_or_default();
        let part = LogRange {
            contexts: sink.subscribed_contexts().to_vec(),
            aggregate_id: None,
            after: 0,
            to,
            batch_events: sink.batch_limits().batch_events,
            batch_bytes: self.config.batch_bytes,
        };
        let mut cursor = self.log.read_batches(part).await?;
        let mut events = 0;
        while let Some(batch) = cursor.read_next_batch().await? {
            for event in &batch.events {
                events += 1;
                let Some(place) = self.topic_partition_of(event, partitions) else { continue };
                for snapshot in &mut *snapshots {
                    if !snapshot.includes_event(event, &place) {
                        continue;
                    }
                    if let Err(error) = snapshot.fold.apply_event(event) {
                        snapshot.unreadable.push(Difference::unreadable(event, &error_chain(&error)));
                    }
                }
            }
            progress(batch.watermark);
            // The fold is plain work without a pause in it: others on this thread get their turn between batches.
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
