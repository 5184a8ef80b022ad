//! Fills a new generation from the log.
//!
//! Streams do not depend on each other: a batch is dealt out to lanes by stream, and the lanes work at the same time.
//! The next batch is read meanwhile.

use std::{sync::Arc, time::Duration};

use domain::{
    envelope::RawRecorded,
    log::{LogBatch, LogPart},
};
use futures::future::try_join_all;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Part, RebuildError, RebuildProgress, turn::RebuildTurn};
use crate::runtime::{
    Build, BuildState, Runtime, Worker, bucket_of,
    delivery::Delivery,
    intake::Partitions,
    worker::{Memory, Setback},
};

/// A batch is not added to from so many bytes on. Stores take few large batches better than many small ones.
const LARGEST_BATCH: usize = 48 << 20;

/// Lanes that write at the same time.
const LANES: usize = 2;

/// A generation that is so near to the end of the log goes on with Kafka, in positions.
const NEAR_ENOUGH: u64 = 2_000;

/// How often is it written down how far it is.
const NOTE_EVERY: Duration = Duration::from_millis(500);

/// Failures in a row after which filling gives up; the next attempt goes on.
const MOST_FAILURES: u32 = 8;

impl Runtime {
    /// Takes the log in from where the part is, until the end is near.
    pub(super) async fn fill(
        &self,
        id: i64,
        part: &Part,
        turn: &RebuildTurn,
        progress: &watch::Sender<RebuildProgress>,
        stop: &CancellationToken,
    ) -> Result<(), RebuildError> {
        let asked = |error: rdkafka::error::KafkaError| RebuildError::Kafka(error.into());
        let partitions = self.partitions(part.sink.as_ref()).await.map_err(asked)?;
        if part.position == 0 {
            // Before anything is read: what comes to Kafka from now on is read from there later.
            self.note_ends(part).await?;
        }
        let build = self.control.build(part.name(), part.generation).await?;
        let mut lanes: Vec<_> = (0..LANES).map(|_| Lane::new(self, part, &build)).collect();
        let (mut position, mut events) = (part.position, part.events);
        let mut noted = Instant::now();
        loop {
            let target = self.log.completed_prefix().await?;
            let log_part = LogPart {
                contexts: part.sink.subscribes().to_vec(),
                aggregate_id: None,
                after: position,
                to: target,
                batch_events: part.sink.pace().rebuild_events,
                batch_bytes: LARGEST_BATCH,
            };
            let mut cursor = self.log.read(log_part).await?;
            while let Some(LogBatch { events: batch, watermark }) = cursor.next().await? {
                events += batch.len() as u64;
                self.deal_out(part, batch, &partitions, &mut lanes, stop).await?;
                position = watermark;
                part.tell(progress, |told| (told.position, told.target, told.events) = (position, target, events));
                if noted.elapsed() > NOTE_EVERY {
                    noted = Instant::now();
                    self.note_position(id, part, turn, (position, target, events)).await?;
                }
                if stop.is_cancelled() {
                    self.note_position(id, part, turn, (position, target, events)).await?;
                    return Err(RebuildError::Interrupted);
                }
            }
            position = position.max(target);
            self.note_position(id, part, turn, (position, target, events)).await?;
            if self.log.completed_prefix().await?.saturating_sub(position) < NEAR_ENOUGH {
                self.note_handover(part, position, turn).await?;
                return Ok(());
            }
        }
    }

    async fn deal_out(
        &self,
        part: &Part,
        batch: Vec<RawRecorded>,
        partitions: &Partitions,
        lanes: &mut [Lane],
        stop: &CancellationToken,
    ) -> Result<(), RebuildError> {
        for event in batch {
            let Some((topic, partition)) = self.place_of(&event, partitions) else { continue };
            let lane = bucket_of(&event.aggregate_id) as usize % lanes.len();
            lanes[lane].waiting.push(Delivery::from_log(topic, partition, event));
        }
        let work = lanes.iter_mut().map(|lane| lane.take_in(self, stop));
        let outcome = try_join_all(work).await;
        outcome.map(drop).map_err(|failure| match failure {
            Failure::Stopped => RebuildError::Interrupted,
            Failure::Setback(setback) => RebuildError::filling(part.name(), part.generation, setback),
        })
    }
}

enum Failure {
    Stopped,
    Setback(Setback),
}

/// One of the writers.
struct Lane {
    worker: Arc<Worker>,
    memory: Option<Memory>,
    waiting: Vec<Delivery>,
}

impl Lane {
    fn new(runtime: &Runtime, part: &Part, build: &Build) -> Self {
        let build = Build { state: BuildState::Building, handover: 0, ..build.clone() };
        let worker = Arc::new(Worker::filling(runtime.clone(), Arc::clone(&part.sink), build));
        Self { worker, memory: Some(Memory::default()), waiting: vec![] }
    }

    /// Takes in what waits, on a task of its own so that lanes use different cores.
    async fn take_in(&mut self, runtime: &Runtime, stop: &CancellationToken) -> Result<(), Failure> {
        let mut failures = 0;
        while !self.waiting.is_empty() {
            let (worker, mut batch) = (Arc::clone(&self.worker), std::mem::take(&mut self.waiting));
            let mut memory = self.memory.take().unwrap_or_default();
            let work = tokio::spawn(async move {
                let outcome = worker.fill(&mut batch, &mut memory).await;
                (outcome, batch, memory)
            });
            let (outcome, batch, memory) = match work.await {
                Ok(done) => done,
                Err(broken) => match broken.try_into_panic() {
                    Ok(panicked) => std::panic::resume_unwind(panicked),
                    Err(_cancelled) => return Err(Failure::Stopped),
                },
            };
            self.memory = Some(memory);
            let Err(setback) = outcome else { continue };
            self.waiting = batch;
            failures += 1;
            if failures >= MOST_FAILURES {
                return Err(Failure::Setback(setback));
            }
            tracing::warn!(reason = crate::runtime::error::chain(&setback), "a batch of a rebuild is tried again");
            tokio::select! {
                () = stop.cancelled() => return Err(Failure::Stopped),
                () = tokio::time::sleep(runtime.config.pause_before(failures)) => {}
            }
        }
        Ok(())
    }
}
