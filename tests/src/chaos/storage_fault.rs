//! What is done to the read side.

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
    /// kill -9 of a process with workers in the middle of its work; it is started again.
    KillWorkers,
    /// kill -9 of both, so that everything not committed is delivered again.
    KillAllWorkers,
    /// A process stands still until its partitions have gone to the other one, and then goes on with what it had.
    Zombie,
    /// A third process joins and dies: partitions are dealt out anew, twice.
    Rebalance,
    /// kill -9 of `ClickHouse`.
    KillClickHouse,
    /// kill -9 of Qdrant.
    KillQdrant,
    /// kill -9 of Redis.
    KillRedis,
    /// `ClickHouse` stands still for some seconds, connections open.
    PauseClickHouse,
    /// Qdrant stands still for some seconds.
    PauseQdrant,
    /// Redis stands still for some seconds.
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

    /// Does it. What dies is started again, here or by the stack.
    pub(super) async fn inject(
        self,
        stack: &TestStack,
        workers: &mut WorkerProcesses,
        dice: &mut SeededChoices,
    ) -> anyhow::Result<()> {
        let engines = EngineFaults(stack);
        workers.heal()?;
        let one = usize::from(dice.percent(50));
        match self {
            Self::KillWorkers => {
                workers.permanent[one].kill9()?;
                sleep(dice.millis(0, 500)).await;
                workers.permanent[one].launch()
            }
            Self::KillAllWorkers => {
                workers.permanent.iter_mut().try_for_each(crate::ProductProcess::kill9)?;
                workers.permanent.iter_mut().try_for_each(crate::ProductProcess::launch)
            }
            Self::Zombie => {
                workers.permanent[one].send(Signal::SIGSTOP);
                // Longer than the session of a group's member lasts.
                sleep(Duration::from_secs(8)).await;
                workers.permanent[one].send(Signal::SIGCONT);
                Ok(())
            }
            Self::Rebalance => {
                let mut third = workers.one_more()?;
                sleep(dice.millis(3_000, 6_000)).await;
                third.kill9()
            }
            Self::KillClickHouse => engines.kill9("clickhouse").map(drop),
            Self::KillQdrant => engines.kill9("qdrant").map(drop),
            Self::KillRedis => engines.kill9("redis").map(drop),
            Self::PauseClickHouse => engines.pause("clickhouse", dice.millis(500, 4_000)).await,
            Self::PauseQdrant => engines.pause("qdrant", dice.millis(500, 4_000)).await,
            Self::PauseRedis => engines.pause("redis", dice.millis(500, 4_000)).await,
            Self::KillKafka => engines.kill9("kafka").map(drop),
            Self::KillPostgres => engines.kill9("postgres").map(drop),
        }
    }
}
