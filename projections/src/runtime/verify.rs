//! Compares a read model with the log, and names what differs.
//!
//! ```text
//! for each part of the store:  alone with it ─▶ its checkpoints, its dead letters, its rows ─▶ let workers go on
//! then once through the log:   every event at or below the checkpoint of its partition ─▶ the part's fold
//! at last:                     rows of the store against rows of the fold
//! ```
//! Workers stand still only while one part is read, and what is compared is exact at any traffic: the part stands at
//! its checkpoints when it is read, and the fold ends there.

mod chosen;
mod difference;
mod snapshot;

use std::sync::Arc;

use domain::{context::Context, envelope::RawRecorded, log::LogPart, partition::partition_of, store::StoreError};

pub use self::difference::{Difference, DifferenceKind};
use self::{chosen::passes, difference::compare, snapshot::Snapshot};
use super::{AnyProjection, ControlError, Generation, Runtime, error::chain, intake::Partitions};
use crate::QueryError;

/// Events that one pass through the log may concern: bounds the memory, some 500 bytes for each.
const EVENTS_PER_PASS: u64 = 500_000;

/// Differences that are named; more are counted.
const MOST_NAMED: usize = 1_000;

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
pub struct Verification {
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
    pub different: u64,
}

impl Verification {
    /// Whether the store is what the log says.
    pub fn is_clean(&self) -> bool {
        self.different == 0
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
    Kafka(#[source] crate::error::Source),
    /// The generation was made from another log.
    #[error("generation {generation} of {projection} was made from another log; `medhub rebuild {projection}`")]
    OtherLog {
        /// The projection.
        projection: &'static str,
        /// The generation.
        generation: Generation,
    },
}

impl Runtime {
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
    ) -> Result<Verification, VerifyError> {
        let name = projection.name();
        let build = self.control.build(name, generation).await?;
        if build.incarnation != self.log.incarnation().await? {
            return Err(VerifyError::OtherLog { projection: name, generation });
        }
        let sink = projection.at(generation);
        let partitions = self.partitions(projection).await.map_err(|error| VerifyError::Kafka(error.into()))?;
        let end = self.log.completed_prefix().await?;
        let mut found = Verification {
            projection: name.to_owned(),
            generation,
            position: end,
            rows: 0,
            events: 0,
            buckets: 0,
            totals: options.sample.is_none(),
            parked: 0,
            differences: vec![],
            different: 0,
        };
        let passes = passes(options, end.div_ceil(EVENTS_PER_PASS).max(1));
        let all = end.saturating_mul(passes.len() as u64);
        for (done, scopes) in (0_u64..).zip(&passes) {
            let mut snapshots = vec![];
            for scope in scopes {
                let snapshot = Snapshot::take(&self.control, &sink, generation, scope).await?;
                found.rows += snapshot.rows.len() as u64;
                progress(VerifyProgress { position: done * end, end: all, rows: found.rows });
                snapshots.push(snapshot);
            }
            let at = |position: u64| {
                progress(VerifyProgress { position: (done * end + position).min(all), end: all, rows: found.rows });
            };
            found.events += self.fold_into(&sink, &mut snapshots, &partitions, at).await?;
            for snapshot in snapshots {
                found.buckets += snapshot.buckets();
                found.parked += snapshot.left_out;
                found.position = found.position.min(snapshot.checkpoint.completed_prefix(0));
                let differences = compare(snapshot.fold.rows(), snapshot.rows).chain(snapshot.unreadable);
                for difference in differences {
                    found.different += 1;
                    if found.differences.len() < MOST_NAMED {
                        found.differences.push(difference);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Feeds every event that a part has taken in to its fold; answers with how many events there were.
    async fn fold_into(
        &self,
        sink: &Arc<dyn AnyProjection>,
        snapshots: &mut [Snapshot],
        partitions: &Partitions,
        progress: impl Fn(u64),
    ) -> Result<u64, VerifyError> {
        let to = snapshots.iter().map(|snapshot| snapshot.checkpoint.highest()).max().unwrap_or_default();
        let part = LogPart {
            contexts: sink.subscribes().to_vec(),
            aggregate_id: None,
            after: 0,
            to,
            batch_events: sink.pace().batch_events,
            batch_bytes: self.config.batch_bytes,
        };
        let mut cursor = self.log.read(part).await?;
        let mut events = 0;
        while let Some(batch) = cursor.next().await? {
            for event in &batch.events {
                events += 1;
                let Some(place) = self.place_of(event, partitions) else { continue };
                for snapshot in &mut *snapshots {
                    if !snapshot.holds(event, &place) {
                        continue;
                    }
                    if let Err(error) = snapshot.fold.take(event) {
                        snapshot.unreadable.push(Difference::unreadable(event, &chain(&error)));
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
    pub(super) fn place_of(&self, event: &RawRecorded, partitions: &Partitions) -> Option<(String, i32)> {
        let topic = Context::of_aggregate(&event.aggregate_type)?.topic(&self.config.topic_prefix);
        let partition = partition_of(&event.aggregate_id, partitions.get(&topic).copied()?);
        Some((topic, partition))
    }
}
