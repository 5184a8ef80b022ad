//! From the log to Kafka: where the new generation goes on, and that it gets there.

use std::time::Duration;

use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Part, Phase, RebuildError, ledger::move_phase, turn::RebuildTurn};
use crate::runtime::{
    BuildState, Checkpoint, Control, PartitionMark, Runtime, RuntimeError, Worker,
    control::postgres,
    intake::{Ends, commit_for, ends},
};

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A worker of the new generation in this process: there may be no other.
pub(super) struct Follower {
    /// Stops the worker also where the rebuild breaks off.
    stop: DropGuard,
    task: JoinHandle<Result<(), RuntimeError>>,
}

impl Follower {
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

impl Runtime {
    /// Notes where every partition ends now.
    pub(super) async fn note_ends(&self, part: &Part) -> Result<(), RebuildError> {
        let topics = self.config.topics(part.sink.subscribes());
        let ends = ends(&self.config, topics).await.map_err(|error| RebuildError::Kafka(error.into()))?;
        let mark = |next_offset| PartitionMark { position: 0, ordinal: None, next_offset };
        let marks = ends.into_iter().map(|(place, end)| (place, mark(end))).collect();
        self.save(part, &Checkpoint(marks)).await
    }

    /// Every partition is taken in up to this position: that came from the log.
    pub(super) async fn note_handover(
        &self,
        part: &Part,
        position: u64,
        turn: &RebuildTurn,
    ) -> Result<(), RebuildError> {
        let mut checkpoint = self.control.checkpoint(part.name(), part.generation).await?;
        for mark in checkpoint.0.values_mut() {
            mark.position = mark.position.max(position);
        }
        let mut transaction = turn.begin().await?;
        Control::save_marks(&mut transaction, part.name(), part.generation, &checkpoint).await?;
        Control::note_handover(&mut transaction, part.name(), part.generation, position).await?;
        transaction.commit().await.map_err(postgres("noting what came from the log"))?;
        Ok(())
    }

    async fn save(&self, part: &Part, marks: &Checkpoint) -> Result<(), RebuildError> {
        let mut connection = self.control.pool().acquire().await.map_err(postgres("moving checkpoints"))?;
        Control::save_marks(&mut connection, part.name(), part.generation, marks).await.map_err(RebuildError::Control)
    }

    /// Makes the generation's consumer group go on where Kafka ended before the log was read, and lets workers follow.
    pub(super) async fn hand_over(&self, id: i64, part: &Part, turn: &RebuildTurn) -> Result<(), RebuildError> {
        let checkpoint = self.control.checkpoint(part.name(), part.generation).await?;
        let next: Ends = checkpoint.0.iter().map(|(place, mark)| (place.clone(), mark.next_offset)).collect();
        commit_for(&self.config, part.name(), part.generation, next)
            .await
            .map_err(|error| RebuildError::Kafka(error.into()))?;
        // Together: who goes on after a crash must not fill what workers follow already.
        let mut transaction = turn.begin().await?;
        let (building, following) = (BuildState::Building, BuildState::Following);
        Control::move_build(&mut transaction, part.name(), part.generation, &[building], following).await?;
        move_phase(&mut transaction, id, part, Phase::CatchingUp).await?;
        transaction.commit().await.map_err(postgres("letting workers follow a new generation"))?;
        Ok(())
    }

    /// Follows Kafka in this process.
    pub(super) async fn follow(&self, part: &Part) -> Result<Follower, RebuildError> {
        let build = self.control.build(part.name(), part.generation).await?;
        let (worker, stop) = (Worker::new(self.clone(), part.sink.as_ref(), build), CancellationToken::new());
        let task = tokio::spawn(worker.run(stop.clone()));
        Ok(Follower { stop: stop.drop_guard(), task })
    }

    /// Waits until the generation is where the log is now.
    pub(super) async fn catch_up(
        &self,
        part: &Part,
        patience: Duration,
        stop: &CancellationToken,
    ) -> Result<(), RebuildError> {
        let end = self.log.completed_prefix().await?;
        let deadline = Instant::now() + patience;
        loop {
            let position = self.completed_prefix(part.sink.as_ref(), part.generation).await?;
            if position >= end {
                return Ok(());
            }
            if Instant::now() > deadline {
                let (projection, generation) = (part.name(), part.generation);
                return Err(RebuildError::Behind {
                    projection,
                    generation,
                    waited_s: patience.as_secs(),
                    position,
                    end,
                });
            }
            tokio::select! {
                () = stop.cancelled() => return Err(RebuildError::Interrupted),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }
}
