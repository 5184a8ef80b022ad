//! Fault injection on the read side: workers and storages crash, hang and return while events arrive; at the end every
//! read model is compared with the log.
//!
//! ```text
//! load ──▶ log ──relay──▶ Kafka ──two processes of workers──▶ ClickHouse, Qdrant, Redis
//!                           ▲            ▲                        ▲
//!                           └── faults, one after the other ──────┘        then: verify, and independent counts
//! ```
//! `docs/faults.md` says how to run it.

pub(crate) mod comparison;
mod event_load;
mod storage_fault;
mod worker_processes;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

pub use self::storage_fault::StorageFault;
use self::{event_load::EventLoad, worker_processes::WorkerProcesses};
use crate::{
    TestStack,
    faults::{fault_report::print_progress, run_seed, seeded_choices::SeededChoices},
};

/// How long relay and projections may take to catch up after the last fault.
const CATCH_UP_TIMEOUT: Duration = Duration::from_mins(5);

/// The parameters of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChaosPlan {
    /// Determines the faults, their times and the generated events.
    pub seed: u64,
    /// Minimum number of events in the log at the end.
    pub events: u64,
    /// Minimum number of faults.
    pub faults: usize,
    /// Longest pause before a fault, in milliseconds.
    pub max_pause_ms: u64,
}

/// The result of a run.
#[derive(Debug, Clone, Serialize)]
pub struct ChaosReport {
    /// Whether there are no violations.
    pub ok: bool,
    /// The seed.
    pub seed: u64,
    /// Events in the log.
    pub events: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The faults, in order.
    pub faults: Vec<String>,
    /// Time from the last fault until all projections had caught up, in seconds.
    pub caught_up_s: f64,
    /// Number of rows compared, over all read models.
    pub rows: u64,
    /// Differences between read models and the log, and other failures, as sentences.
    pub violations: Vec<String>,
}

/// Carries out a plan on a stack that no other test uses.
///
/// Call it on a thread that outlives the run: the processes of the product end with it.
///
/// # Errors
/// If the harness itself fails; violations by the system under test are in the report.
pub async fn run_plan(plan: &ChaosPlan, stack: &TestStack) -> anyhow::Result<ChaosReport> {
    let began = Instant::now();
    print_progress(&format!("seed {} ({}={} repeats it)", plan.seed, run_seed::SEED_VARIABLE, plan.seed));
    let migrated = stack.run_medhub(&["migrate"]).await;
    anyhow::ensure!(migrated.status.success(), "migrating: {}", String::from_utf8_lossy(&migrated.stderr));
    let mut workers = WorkerProcesses::start(stack)?;
    let mut load = EventLoad::new(stack, plan);
    let mut choices = SeededChoices::new(plan.seed, 1);
    let mut injected_faults: Vec<String> = vec![];
    // Load and faults run concurrently; the one that finishes first waits for the other.
    let faults_ended = CancellationToken::new();
    let events = {
        let faults = async {
            let mut order = StorageFault::ALL.to_vec();
            choices.shuffle(&mut order);
            for fault in order.iter().cycle().take(plan.faults.max(1)) {
                tokio::time::sleep(choices.millis_between(200, plan.max_pause_ms)).await;
                print_progress(&format!("fault: {}", fault.name()));
                fault
                    .inject(stack, &mut workers, &mut choices)
                    .await
                    .with_context(|| format!("injecting {}", fault.name()))?;
                injected_faults.push(fault.name().to_owned());
            }
            Ok::<_, anyhow::Error>(())
        };
        let faults = async {
            // Cancelled on errors too, so that the load ends when a fault cannot be injected.
            let _cancel_at_end = faults_ended.clone().drop_guard();
            faults.await
        };
        let (loaded, injected) = tokio::join!(load.run(&faults_ended), faults);
        injected?;
        loaded?
    };
    workers.restart_stopped()?;
    let last_fault = Instant::now();
    let mut violations = vec![];
    if let Err(error) = comparison::wait_until_caught_up(stack, CATCH_UP_TIMEOUT).await {
        violations.push(format!("not caught up: {error:#}{}", workers.log_tails()));
    }
    let caught_up_s = last_fault.elapsed().as_secs_f64();
    let compared = comparison::compare_read_models(stack).await?;
    violations.extend(compared.violations);
    for reason in workers.stop().await {
        violations.push(reason);
    }
    let seconds = began.elapsed().as_secs_f64();
    let (ok, faults) = (violations.is_empty(), injected_faults);
    Ok(ChaosReport { ok, seed: plan.seed, events, seconds, faults, caught_up_s, rows: compared.rows, violations })
}
