//! From the log to Kafka: where the new generation goes on, and that it gets there.

use std::time::Duration;

use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{PartPhase, ProjectionRebuild, RebuildError, progress::advance_phase, rebuild_lease::RebuildLease};
use crate::runtime::{
    Checkpoint, ControlStore, GenerationState, PartitionCheckpoint, ProjectionRuntime, RuntimeError, Worker,
    consumer::{EndOffsets, commit_group_offsets, fetch_end_offsets},
    control_store::postgres_error,
};

const CATCH_UP_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A worker of the new generation in this process: there may be no other.
pub(super) struct CatchUpWorker {
    /// Stops the worker also where the rebuild breaks off.
    stop: DropGuard,
    task: JoinHandle<Result<(), RuntimeError>>,
}

impl CatchUpWorker {
    pub(super) async fn stop(self) -> Result<(), RebuildError> {
        drop(self.stop);
        match self.task.await {
            Ok(outcome) => outcome.map_err(RebuildError::Worker),
            Err(broken) => match broken.try_into_panic() {
                Ok(panicked) => std::panic::resume_unwind(panicked),
                Err(_cancelled) => Ok(()),
            },
        }
    }
}

impl ProjectionRuntime {
    /// Notes where every partition ends now.
    pub(super) async fn save_end_offsets(&self, part: &ProjectionRebuild) -> Result<(), RebuildError> {
        let topics = self.config.topics(part.projection.subscribed_contexts());
        let ends = fetch_end_offsets(&self.config, topics).await.map_err(|error| RebuildError::Kafka(error.into()))?;
        let mark = |next_offset| PartitionCheckpoint { position: 0, ordinal: None, next_offset };
        let marks = ends.into_iter().map(|(place, end)| (place, mark(end))).collect();
        self.save_checkpoint(part, &Checkpoint(marks)).await
    }

    /// Every partition is taken in up to this position: that came from the log.
    pub(super) async fn save_handover(
        &self,
        part: &ProjectionRebuild,
        position: u64,
        turn: &RebuildLease,
    ) -> Result<(), RebuildError> {
        let mut checkpoint = self.control.load_checkpoint(part.name(), part.generation).await?;
        for mark in checkpoint.0.values_mut() {
            mark.position = mark.position.max(position);
        }
        let mut transaction = turn.begin_transaction().await?;
        ControlStore::save_checkpoint(&mut transaction, part.name(), part.generation, &checkpoint).await?;
        ControlStore::save_handover(&mut transaction, part.name(), part.generation, position).await?;
        transaction.commit().await.map_err(postgres_error("noting what came from the log"))?;
        Ok(())
    }

    async fn save_checkpoint(&self, part: &ProjectionRebuild, marks: &Checkpoint) -> Result<(), RebuildError> {
        let mut connection = self.control.pool().acquire().await.map_err(postgres_error("moving checkpoints"))?;
        ControlStore::save_checkpoint(&mut connection, part.name(), part.generation, marks)
            .await
            .map_err(RebuildError::Control)
    }

    /// Makes the generation's consumer group go on where Kafka ended before the log was read, and lets workers follow.
    pub(super) async fn hand_over_to_kafka(
        &self,
        id: i64,
        part: &ProjectionRebuild,
        turn: &RebuildLease,
    ) -> Result<(), RebuildError> {
        let checkpoint = self.control.load_checkpoint(part.name(), part.generation).await?;
        let next: EndOffsets = checkpoint.0.iter().map(|(place, mark)| (place.clone(), mark.next_offset)).collect();
        commit_group_offsets(&self.config, part.name(), part.generation, next)
            .await
            .map_err(|error| RebuildError::Kafka(error.into()))?;
        // Together: who goes on after a crash must not fill what workers follow already.
        let mut transaction = turn.begin_transaction().await?;
        let (building, following) = (GenerationState::Building, GenerationState::Following);
        ControlStore::move_generation(&mut transaction, part.name(), part.generation, &[building], following).await?;
        advance_phase(&mut transaction, id, part, PartPhase::CatchingUp).await?;
        transaction.commit().await.map_err(postgres_error("letting workers follow a new generation"))?;
        Ok(())
    }

    /// Follows Kafka in this process.
    pub(super) async fn start_catch_up_worker(&self, part: &ProjectionRebuild) -> Result<CatchUpWorker, RebuildError> {
        let build = self.control.load_generation(part.name(), part.generation).await?;
        let (worker, stop) = (Worker::new(self.clone(), part.projection.as_ref(), build), CancellationToken::new());
        let task = tokio::spawn(worker.run(stop.clone()));
        Ok(CatchUpWorker { stop: stop.drop_guard(), task })
    }

    /// Waits until the generation is where the log is now.
    pub(super) async fn catch_up(
        &self,
        part: &ProjectionRebuild,
        patience: Duration,
        stop: &CancellationToken,
    ) -> Result<(), RebuildError> {
        let end = self.log.completed_prefix().await?;
        let deadline = Instant::now() + patience;
        loop {
            let position = self.completed_prefix(part.projection.as_ref(), part.generation).await?;
            if position >= end {
                return Ok(());
            }
            if Instant::now() > deadline {
                let (projection, generation) = (part.name(), part.generation);
                return Err(RebuildError::CatchUpTimeout {
                    projection,
                    generation,
                    waited_s: patience.as_secs(),
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
