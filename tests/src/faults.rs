//! Fault injection on the write side: writers append in every way while processes are killed; at the end the log, the
//! topics and the writers' ledger are compared.
//!
//! ```text
//! plan (seed) ──▶ writers ──▶ log ──relays──▶ topics
//!      │             │         │                │
//!      └──▶ faults   └─ledger──┴──────▶ audit ◀─┘
//! ```
//!
//! The parts: [`fault_plan`] derives all decisions from a seed, [`append_writer`] appends and records outcomes in an
//! [`append_ledger`], [`foreign_transactions`] holds transactions open that have nothing to do with the relay,
//! [`engine_faults`] kills engines, [`evidence_reader`] reads log and topics, [`log_audit`] compares them, and
//! [`fault_report`] summarizes the findings. [`naive_relay`] is a relay without the fence: with it the audit must find
//! lost events. `docs/faults.md` says how to run it.

pub mod append_ledger;
pub mod append_writer;
pub mod bounded_wait;
pub mod engine_faults;
pub mod evidence_reader;
pub mod fault_environment;
pub mod fault_injector;
pub mod fault_plan;
pub mod fault_report;
pub mod foreign_transactions;
pub mod log_audit;
pub mod naive_relay;
pub mod relay_pair;
pub mod run_seed;
pub mod seeded_choices;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::{
    append_ledger::{AppendOutcome, LedgerEntry},
    append_writer::AppendWriter,
    engine_faults::EngineFaults,
    fault_environment::FaultEnvironment,
    fault_injector::FaultInjector,
    fault_plan::FaultPlan,
    fault_report::{FaultReport, print_progress},
    foreign_transactions::ForeignTransactions,
    log_audit::{AuditEvidence, AuditViolation},
    naive_relay::NaiveRelay,
    relay_pair::RelayPair,
};
use crate::{TestStack, TransactionPooler};

/// How long the relay may take to reach the end of the log after the last append.
const CATCH_UP_TIMEOUT: Duration = Duration::from_mins(2);
/// How long two fresh relays may take until one of them leads.
const FIRST_LEADER_TIMEOUT: Duration = Duration::from_mins(1);
/// The number of the writer that appends probes, above those of a plan's writers.
const PROBE_WRITER: usize = 1_000;

/// Carries out a plan on a running stack. Postgres and Kafka must be the stack's own if the plan kills them.
///
/// Call it on a thread that outlives the run (a single-threaded runtime does): the relays end with it.
///
/// # Errors
/// If the harness itself fails; violations by the system under test are in the report.
pub async fn run_plan(plan: &FaultPlan, stack: &TestStack) -> anyhow::Result<FaultReport> {
    let began = Instant::now();
    print_progress(&format!("seed {} ({}={} repeats it)", plan.seed, run_seed::SEED_VARIABLE, plan.seed));
    let mut environment = FaultEnvironment::new(stack).await?;
    let pooler = if plan.uses_pooler { Some(TransactionPooler::start(&environment.url).await?) } else { None };
    if let Some(pooler) = &pooler {
        environment.set_database_url(pooler.url());
    }
    let foreign = ForeignTransactions::open(&environment.url).await.context("opening foreign transactions")?;
    let mut report = if plan.fence {
        run_with_relays(plan, stack, &environment, foreign).await?
    } else {
        run_without_fence(plan, &environment, foreign).await?
    };
    report.seconds = began.elapsed().as_secs_f32();
    report.kafka = stack.state().processes.get("kafka").map(|kafka| kafka.version.clone()).unwrap_or_default();
    report.longest_takeover_ms = report.faults.iter().filter_map(|fault| fault.takeover_ms).max();
    print_progress(&report.summary());
    Ok(report)
}

async fn run_with_relays(
    plan: &FaultPlan,
    stack: &TestStack,
    environment: &FaultEnvironment,
    foreign: ForeignTransactions,
) -> anyhow::Result<FaultReport> {
    let mut relays = RelayPair::start(environment)?;
    relays.wait_until_published(0, FIRST_LEADER_TIMEOUT).await.context("waiting for a first leader")?;
    let writers = WriterTasks::start(plan, environment);
    let mut probe =
        AppendWriter::new(plan.seed, PROBE_WRITER, &environment.url, environment.pool.clone()).with_own_streams();
    let mut injector = FaultInjector::new(plan.seed, EngineFaults(stack), environment, &mut relays, &mut probe);
    injector.execute_plan(plan).await?;
    let (injected, disturbances, mut violations) = (injector.injected, injector.disturbances, injector.violations);
    let mut ledger = writers.stop().await?;
    ledger.extend(probe.into_ledger());
    // The foreign transactions are still open: the relay has to reach the end of the log regardless.
    let log_end = evidence_reader::read_log_end(&mut environment.connect().await?).await?;
    if let Err(error) = relays.wait_until_published(log_end, CATCH_UP_TIMEOUT).await {
        violations
            .push(AuditViolation::NotRecovered { after: "the last append".to_owned(), reason: format!("{error:#}") });
    }
    let foreign_reopened = foreign.close().await?;
    for relay in &mut relays.0 {
        if let Err(error) = relay.stop().await {
            let (after, reason) = (format!("the request to stop {}", relay.name()), format!("{error:#}"));
            violations.push(AuditViolation::NotRecovered { after, reason });
        }
    }
    let evidence = AuditEvidence { disturbances, ..collect_evidence(environment, ledger).await? };
    let report = FaultReport::new(plan, &evidence, evidence.audit(), violations);
    Ok(FaultReport { faults: injected, foreign_reopened, ..report })
}

async fn run_without_fence(
    plan: &FaultPlan,
    environment: &FaultEnvironment,
    foreign: ForeignTransactions,
) -> anyhow::Result<FaultReport> {
    let relay = NaiveRelay::start(environment)?;
    let writers = WriterTasks::start(plan, environment);
    tokio::time::sleep(plan.duration).await;
    let mut ledger = writers.stop().await?;
    ledger.extend(overtake_slow_append(plan.seed, environment, &relay).await?);
    let foreign_reopened = foreign.close().await?;
    let evidence = collect_evidence(environment, ledger).await?;
    relay.stop().await?;
    let report = FaultReport::new(plan, &evidence, evidence.audit(), Vec::new());
    Ok(FaultReport { foreign_reopened, ..report })
}

/// The known case in which a naive relay always loses an event, step by step: a first append delays its commit
/// until the relay has published a second one.
///
/// # Errors
/// If Postgres refuses, or the relay does not reach the position in time.
async fn overtake_slow_append(
    seed: u64,
    environment: &FaultEnvironment,
    relay: &NaiveRelay,
) -> anyhow::Result<Vec<LedgerEntry>> {
    let mut slow =
        AppendWriter::new(seed, PROBE_WRITER + 1, &environment.url, environment.pool.clone()).with_own_streams();
    let mut fast =
        AppendWriter::new(seed, PROBE_WRITER + 2, &environment.url, environment.pool.clone()).with_own_streams();
    let open = slow.begin_append().await?;
    let position = fast.append_probe().await?;
    relay.wait_until_published(position, CATCH_UP_TIMEOUT).await?;
    let outcome = slow.commit_append(open).await?;
    anyhow::ensure!(outcome == AppendOutcome::Committed, "the slow append ended {outcome:?}");
    let after = fast.append_probe().await?;
    relay.wait_until_published(after, CATCH_UP_TIMEOUT).await?;
    Ok([slow.into_ledger(), fast.into_ledger()].concat())
}

async fn collect_evidence(environment: &FaultEnvironment, ledger: Vec<LedgerEntry>) -> anyhow::Result<AuditEvidence> {
    let mut connection = environment.connect().await?;
    let log = evidence_reader::read_log(&mut connection).await?;
    let incarnation = Some(evidence_reader::read_incarnation(&mut connection).await?);
    let topics = evidence_reader::read_topics(&environment.kafka).await?;
    Ok(AuditEvidence { log, records: topics, ledger, disturbances: Vec::new(), incarnation })
}

/// The writers of a run.
#[derive(Debug)]
pub struct WriterTasks {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<anyhow::Result<Vec<LedgerEntry>>>>,
}

impl WriterTasks {
    /// Starts as many as the plan says.
    pub fn start(plan: &FaultPlan, environment: &FaultEnvironment) -> Self {
        let stop = CancellationToken::new();
        let writer = |number| AppendWriter::new(plan.seed, number, &environment.url, environment.pool.clone());
        let tasks = (0..plan.writers).map(|number| tokio::spawn(writer(number).run(stop.clone()))).collect();
        Self { stop, tasks }
    }

    /// Stops the writers after their current appends, and returns their ledger.
    ///
    /// # Errors
    /// If one of them failed.
    pub async fn stop(self) -> anyhow::Result<Vec<LedgerEntry>> {
        self.stop.cancel();
        let mut ledger = Vec::new();
        for task in self.tasks {
            ledger.extend(task.await??);
        }
        Ok(ledger)
    }
}
