//! Faults on purpose: writers of every kind append while processes are killed, and in the end log, topics and the
//! writers' own ledger are compared.
//!
//! ```text
//! plan (seed) ──▶ writers ──▶ log ──relays──▶ topics
//!      │             │         │                │
//!      └──▶ chaos    └─ledger──┴──────▶ audit ◀─┘
//! ```
//!
//! The parts: [`plan`] decides everything from a seed, [`writer`] appends and keeps a [`ledger`], [`foreign`] holds
//! transactions that are nobody's business, [`chaos`] kills, [`gather`] reads what is left, [`audit`] judges it, and
//! [`report`] tells. [`naive`] is a relay without the fence: with it the audit must find loss. `docs/faults.md` says
//! how to run all this.

pub mod audit;
pub mod chaos;
pub mod dice;
pub mod engines;
pub mod field;
pub mod foreign;
pub mod gather;
pub mod ledger;
pub mod naive;
pub mod plan;
pub mod relay;
pub mod report;
pub mod seed;
pub mod wait;
pub mod writer;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::{
    audit::{Evidence, Violation},
    chaos::Chaos,
    engines::Engines,
    field::Field,
    foreign::Foreign,
    ledger::{Append, Outcome},
    naive::NaiveRelay,
    plan::Plan,
    relay::Relays,
    report::{Report, say},
    writer::Writer,
};
use crate::{Stack, TransactionPooler};

/// How long the relay may take to come to the end of the log once nobody writes any more.
const CATCH_UP: Duration = Duration::from_mins(2);
/// How long two fresh relays may take until one of them leads.
const FIRST_LEADER: Duration = Duration::from_mins(1);
/// The number of the writer that probes, beyond those of a plan.
const PROBE: usize = 1_000;

/// Carries out a plan on a running stack. Postgres and Kafka must be the stack's own if the plan kills them.
///
/// Call it on a thread that outlives the run (a single-threaded runtime does): the relays die with it.
///
/// # Errors
/// If the harness itself cannot do its work; what the system does wrong is in the report.
pub async fn run(plan: &Plan, stack: &Stack) -> anyhow::Result<Report> {
    let began = Instant::now();
    say(&format!("seed {} ({}={} repeats it)", plan.seed, seed::VARIABLE, plan.seed));
    let mut field = Field::new(stack).await?;
    let pooler = if plan.pooled { Some(TransactionPooler::start(&field.url).await?) } else { None };
    if let Some(pooler) = &pooler {
        field.lead_through(pooler.url());
    }
    let foreign = Foreign::open(&field.url).await.context("opening foreign transactions")?;
    let mut report = if plan.fence {
        with_relays(plan, stack, &field, foreign).await?
    } else {
        without_fence(plan, &field, foreign).await?
    };
    report.seconds = began.elapsed().as_secs_f32();
    report.kafka = stack.state().processes.get("kafka").map(|kafka| kafka.version.clone()).unwrap_or_default();
    report.longest_takeover_ms = report.faults.iter().filter_map(|done| done.takeover_ms).max();
    say(&report.summary());
    Ok(report)
}

async fn with_relays(plan: &Plan, stack: &Stack, field: &Field, foreign: Foreign) -> anyhow::Result<Report> {
    let mut relays = Relays::start(field)?;
    relays.reach(0, FIRST_LEADER).await.context("waiting for a first leader")?;
    let writers = Writers::start(plan, field);
    let mut probe = Writer::new(plan.seed, PROBE, &field.url, field.pool.clone()).alone();
    let mut chaos = Chaos::new(plan.seed, Engines(stack), field, &mut relays, &mut probe);
    chaos.walk(plan).await?;
    let (done, disturbances, mut violations) = (chaos.done, chaos.disturbances, chaos.violations);
    let mut ledger = writers.stop().await?;
    ledger.extend(probe.into_ledger());
    // The foreign transactions are still open: the relay has to come to the end of the log regardless.
    let log_end = gather::log_end(&mut field.connection().await?).await?;
    if let Err(error) = relays.reach(log_end, CATCH_UP).await {
        violations.push(Violation::NotRecovered { after: "the last append".to_owned(), reason: format!("{error:#}") });
    }
    let foreign_reopened = foreign.close().await?;
    for relay in &mut relays.0 {
        if let Err(error) = relay.stop().await {
            let (after, reason) = (format!("the request to stop {}", relay.name()), format!("{error:#}"));
            violations.push(Violation::NotRecovered { after, reason });
        }
    }
    let evidence = Evidence { disturbances, ..evidence(field, ledger).await? };
    let report = Report::new(plan, &evidence, evidence.audit(), violations);
    Ok(Report { faults: done, foreign_reopened, ..report })
}

async fn without_fence(plan: &Plan, field: &Field, foreign: Foreign) -> anyhow::Result<Report> {
    let relay = NaiveRelay::start(field)?;
    let writers = Writers::start(plan, field);
    tokio::time::sleep(plan.duration).await;
    let mut ledger = writers.stop().await?;
    ledger.extend(slow_append_overtaken(plan.seed, field, &relay).await?);
    let foreign_reopened = foreign.close().await?;
    let evidence = evidence(field, ledger).await?;
    relay.stop().await?;
    let report = Report::new(plan, &evidence, evidence.audit(), Vec::new());
    Ok(Report { foreign_reopened, ..report })
}

/// The textbook case, step by step, so that a naive relay loses an event for sure: a first append waits with its
/// commit until the relay has published a second one.
///
/// # Errors
/// If Postgres refuses or the relay does not get there.
async fn slow_append_overtaken(seed: u64, field: &Field, relay: &NaiveRelay) -> anyhow::Result<Vec<Append>> {
    let mut slow = Writer::new(seed, PROBE + 1, &field.url, field.pool.clone()).alone();
    let mut fast = Writer::new(seed, PROBE + 2, &field.url, field.pool.clone()).alone();
    let open = slow.begin_append().await?;
    let position = fast.probe().await?;
    relay.reach(position, CATCH_UP).await?;
    let outcome = slow.commit_append(open).await?;
    anyhow::ensure!(outcome == Outcome::Committed, "the slow append ended {outcome:?}");
    let after = fast.probe().await?;
    relay.reach(after, CATCH_UP).await?;
    Ok([slow.into_ledger(), fast.into_ledger()].concat())
}

async fn evidence(field: &Field, ledger: Vec<Append>) -> anyhow::Result<Evidence> {
    let mut connection = field.connection().await?;
    let log = gather::log(&mut connection).await?;
    let incarnation = Some(gather::incarnation(&mut connection).await?);
    let topics = gather::topics(&field.kafka).await?;
    Ok(Evidence { log, topics, ledger, disturbances: Vec::new(), incarnation })
}

/// All writers of a run.
#[derive(Debug)]
pub struct Writers {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<anyhow::Result<Vec<Append>>>>,
}

impl Writers {
    /// Starts as many as the plan says.
    pub fn start(plan: &Plan, field: &Field) -> Self {
        let stop = CancellationToken::new();
        let writer = |number| Writer::new(plan.seed, number, &field.url, field.pool.clone());
        let tasks = (0..plan.writers).map(|number| tokio::spawn(writer(number).run(stop.clone()))).collect();
        Self { stop, tasks }
    }

    /// Lets them come to an end; answers what they noted.
    ///
    /// # Errors
    /// If one of them broke.
    pub async fn stop(self) -> anyhow::Result<Vec<Append>> {
        self.stop.cancel();
        let mut ledger = Vec::new();
        for task in self.tasks {
            ledger.extend(task.await??);
        }
        Ok(ledger)
    }
}
