//! Faults of the read side.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::worker_processes::WorkerProcesses;
use crate::{
    TestStack,
    faults::{engine_faults::EngineFaults, seeded_choices::SeededChoices},
};

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageFault {
    /// kill -9 of one process with workers; it is started again.
    KillWorkers,
    /// kill -9 of both, so that all uncommitted records are delivered again.
    KillAllWorkers,
    /// One process is paused until its partitions are assigned to the other one, and then continues with its old batch.
    Zombie,
    /// A third process joins and is killed: partitions are reassigned twice.
    Rebalance,
    /// kill -9 of `ClickHouse`.
    KillClickHouse,
    /// kill -9 of Qdrant.
    KillQdrant,
    /// kill -9 of Redis.
    KillRedis,
    /// `ClickHouse` is paused for some seconds, with its connections open.
    PauseClickHouse,
    /// Qdrant is paused for some seconds.
    PauseQdrant,
    /// Redis is paused for some seconds.
    PauseRedis,
    /// kill -9 of the broker.
    KillKafka,
    /// kill -9 of Postgres, with the checkpoints in it.
    KillPostgres,
}

impl StorageFault {
    /// Every fault.
    pub const ALL: [Self; 12] = [
        Self::KillWorkers,
        Self::KillAllWorkers,
        Self::Zombie,
        Self::Rebalance,
        Self::KillClickHouse,
        Self::KillQdrant,
        Self::KillRedis,
        Self::PauseClickHouse,
        Self::PauseQdrant,
        Self::PauseRedis,
        Self::KillKafka,
        Self::KillPostgres,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::KillWorkers => "kill workers",
            Self::KillAllWorkers => "kill all workers",
            Self::Zombie => "zombie",
            Self::Rebalance => "rebalance",
            Self::KillClickHouse => "kill ClickHouse",
            Self::KillQdrant => "kill Qdrant",
            Self::KillRedis => "kill Redis",
            Self::PauseClickHouse => "pause ClickHouse",
            Self::PauseQdrant => "pause Qdrant",
            Self::PauseRedis => "pause Redis",
            Self::KillKafka => "kill Kafka",
            Self::KillPostgres => "kill Postgres",
        }
    }

    /// Injects the fault. A killed process is started again, here or by the stack.
    pub(super) async fn inject(
        self,
        stack: &TestStack,
        workers: &mut WorkerProcesses,
        choices: &mut SeededChoices,
    ) -> anyhow::Result<()> {
        let engines = EngineFaults(stack);
        workers.restart_stopped()?;
        let index = usize::from(choices.random_bool(50));
        match self {
            Self::KillWorkers => {
                workers.permanent[index].kill9()?;
                sleep(choices.millis_between(0, 500)).await;
                workers.permanent[index].launch()
            }
            Self::KillAllWorkers => {
                workers.permanent.iter_mut().try_for_each(crate::ProductProcess::kill9)?;
                workers.permanent.iter_mut().try_for_each(crate::ProductProcess::launch)
            }
            Self::Zombie => {
                workers.permanent[index].send_signal(Signal::SIGSTOP);
                // Longer than the session time-out of a group member.
                sleep(Duration::from_secs(8)).await;
                workers.permanent[index].send_signal(Signal::SIGCONT);
                Ok(())
            }
            Self::Rebalance => {
                let mut third = workers.start_extra()?;
                sleep(choices.millis_between(3_000, 6_000)).await;
                third.kill9()
            }
            Self::KillClickHouse => engines.kill9("clickhouse").map(drop),
            Self::KillQdrant => engines.kill9("qdrant").map(drop),
            Self::KillRedis => engines.kill9("redis").map(drop),
            Self::PauseClickHouse => engines.pause_for("clickhouse", choices.millis_between(500, 4_000)).await,
            Self::PauseQdrant => engines.pause_for("qdrant", choices.millis_between(500, 4_000)).await,
            Self::PauseRedis => engines.pause_for("redis", choices.millis_between(500, 4_000)).await,
            Self::KillKafka => engines.kill9("kafka").map(drop),
            Self::KillPostgres => engines.kill9("postgres").map(drop),
        }
    }
}
