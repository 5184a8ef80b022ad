//! The handover from the log to Kafka: saves the offsets to continue from, and catches up.

use std::time::Duration;

use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{RebuildError, RebuildPart, RebuildPhase, rebuild_lease::RebuildLease, stored_progress::advance_phase};
use crate::runtime::{
    Checkpoint, ControlStore, GenerationState, PartitionCheckpoint, ProjectionRuntime, RuntimeError, Worker,
    consumer::{EndOffsets, commit_group_offsets, fetch_end_offsets},
    control_store::postgres_error,
};

const CATCH_UP_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A worker of the new generation in this process, since no other process may run one.
pub(super) struct CatchUpWorker {
    /// Stops the worker, also when the rebuild's future is dropped.
    stop: DropGuard,
    task: JoinHandle<Result<(), RuntimeError>>,
}

impl CatchUpWorker {
    pub(super) async fn stop(self) -> Result<(), RebuildError> {
        drop(self.stop);
        match self.task.await {
            Ok(outcome) => outcome.map_err(RebuildError::Worker),
            Err(join_error) => match join_error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_cancelled) => Ok(()),
            },
        }
    }
}

impl ProjectionRuntime {
    /// Saves the current end offset of every partition.
    pub(super) async fn save_end_offsets(&self, part: &RebuildPart) -> Result<(), RebuildError> {
        let topics = self.config.topics(part.projection.subscribed_contexts());
        let ends = fetch_end_offsets(&self.config, topics).await.map_err(|error| RebuildError::Kafka(error.into()))?;
        let at_offset = |next_offset| PartitionCheckpoint { position: 0, ordinal: None, next_offset };
        let partitions = ends.into_iter().map(|(partition, end)| (partition, at_offset(end))).collect();
        self.save_checkpoint(part, &Checkpoint(partitions)).await
    }

    /// Saves that every partition is applied up to this position from the log.
    pub(super) async fn save_handover(
        &self,
        part: &RebuildPart,
        position: u64,
        lease: &RebuildLease,
    ) -> Result<(), RebuildError> {
        let mut checkpoint = self.control.load_checkpoint(part.name(), part.generation).await?;
        for partition in checkpoint.0.values_mut() {
            partition.position = partition.position.max(position);
            // The next record is the one at the saved end offset, and the ordinal of the event before it is not known.
            partition.ordinal = None;
        }
        let mut transaction = lease.begin_transaction().await?;
        ControlStore::save_checkpoint(&mut transaction, part.name(), part.generation, &checkpoint).await?;
        ControlStore::save_handover(&mut transaction, part.name(), part.generation, position).await?;
        transaction.commit().await.map_err(postgres_error("saving the handover position"))?;
        Ok(())
    }

    async fn save_checkpoint(&self, part: &RebuildPart, checkpoint: &Checkpoint) -> Result<(), RebuildError> {
        let mut connection = self.control.pool().acquire().await.map_err(postgres_error("saving checkpoints"))?;
        ControlStore::save_checkpoint(&mut connection, part.name(), part.generation, checkpoint)
            .await
            .map_err(RebuildError::Control)
    }

    /// Commits the saved end offsets for the generation's consumer group, and moves the generation to the state
    /// `following`, so that workers run it.
    pub(super) async fn hand_over_to_kafka(
        &self,
        id: i64,
        part: &RebuildPart,
        lease: &RebuildLease,
    ) -> Result<(), RebuildError> {
        let checkpoint = self.control.load_checkpoint(part.name(), part.generation).await?;
        let next_offsets: EndOffsets =
            checkpoint.0.iter().map(|(partition, saved)| (partition.clone(), saved.next_offset)).collect();
        commit_group_offsets(&self.config, part.name(), part.generation, next_offsets)
            .await
            .map_err(|error| RebuildError::Kafka(error.into()))?;
        // In one transaction: a resumed rebuild must not fill a generation that workers already follow.
        let mut transaction = lease.begin_transaction().await?;
        let (building, following) = (GenerationState::Building, GenerationState::Following);
        ControlStore::move_generation(&mut transaction, part.name(), part.generation, &[building], following).await?;
        advance_phase(&mut transaction, id, part, RebuildPhase::CatchingUp).await?;
        transaction.commit().await.map_err(postgres_error("handing a new generation over to workers"))?;
        Ok(())
    }

    /// Starts a worker of the new generation in this process.
    pub(super) async fn start_catch_up_worker(&self, part: &RebuildPart) -> Result<CatchUpWorker, RebuildError> {
        let build = self.control.load_generation(part.name(), part.generation).await?;
        let (worker, stop) = (Worker::new(self.clone(), part.projection.as_ref(), build), CancellationToken::new());
        let task = tokio::spawn(worker.run(stop.clone()));
        Ok(CatchUpWorker { stop: stop.drop_guard(), task })
    }

    /// Waits until the generation has reached the current end of the log.
    pub(super) async fn catch_up(
        &self,
        part: &RebuildPart,
        max_wait: Duration,
        stop: &CancellationToken,
    ) -> Result<(), RebuildError> {
        let end = self.log.load_fence().await?;
        let deadline = Instant::now() + max_wait;
        loop {
            let position = self.load_applied_position(part.projection.as_ref(), part.generation).await?;
            if position >= end {
                return Ok(());
            }
            if Instant::now() > deadline {
                let (projection, generation) = (part.name(), part.generation);
                return Err(RebuildError::CatchUpTimeout {
                    projection,
                    generation,
                    waited_s: max_wait.as_secs(),
                    position,
                    end,
                });
            }
            tokio::select! {
                () = stop.cancelled() => return Err(RebuildError::Interrupted),
                () = tokio::time::sleep(CATCH_UP_POLL_INTERVAL) => {}
            }
        }
    }
}
