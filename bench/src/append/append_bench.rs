//! One round: single commands, batches, pgbench.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use api::config::EngineConfig;
use commands::{
    authorization::CallerAuthority,
    caller::Caller,
    dispatcher::{CommandDispatcher, CommandSender},
    precondition::CommandPreconditions,
};
use cqrs_es::CqrsFramework;
use domain::{
    clock::SystemClock,
    event_store::{BatchStore as _, NewEvent},
    opportunity::{Opportunity, OpportunityCommand},
};
use eventstore::{append::PgBatchStore, store::PgEventStore};
use hdrhistogram::Histogram;
use sqlx::PgPool;
use tokio::task::JoinSet;

use super::{
    AppendBenchError, AppendBenchOptions, CommandStoreKind,
    database::AppendBenchDatabase,
    pgbench::PgbenchRunner,
    server_cpu::PostgresServer,
    workload::{SampleEvents, Workload},
};
use crate::{BenchFigures, cpu_time};

/// The next stream number; every command and every batch of a run uses new streams.
static NEXT_STREAM_NUMBER: AtomicU64 = AtomicU64::new(1);

/// Upper bound of the histograms, in microseconds.
const MAX_WAIT_MICROS: u64 = 60_000_000;

/// Result of one measurement.
pub(super) struct AppendMeasurement {
    pub(super) figures: BenchFigures,
    /// CPU time of the server per event, in microseconds; `None` if it runs on another machine.
    pub(super) server_us_per_event: Option<f64>,
}

/// Results of one round.
pub(super) struct AppendRound {
    pub(super) commands: AppendMeasurement,
    pub(super) batches: AppendMeasurement,
    pub(super) pgbench: AppendMeasurement,
    pub(super) pgbench_mean_ms: f64,
}

/// The three measurements, ready to run.
pub(super) struct AppendBench {
    options: AppendBenchOptions,
    pool: PgPool,
    event_store: PgEventStore<Opportunity>,
    workload: Arc<Workload>,
    sample: Arc<SampleEvents>,
    pgbench: PgbenchRunner,
    server: Option<PostgresServer>,
}

impl AppendBench {
    pub(super) async fn new(
        config: &EngineConfig,
        options: &AppendBenchOptions,
        database: &AppendBenchDatabase,
        workload: Workload,
        sample: SampleEvents,
        pgbench: PgbenchRunner,
    ) -> Self {
        Self {
            options: options.clone(),
            event_store: PgEventStore::new(database.pool.clone(), &config.postgres),
            server: PostgresServer::from_pool(&database.pool).await,
            pool: database.pool.clone(),
            workload: Arc::new(workload),
            sample: Arc::new(sample),
            pgbench,
        }
    }

    /// Measures everything once, each for `duration`; odd and even rounds in opposite order.
    pub(super) async fn run_round(&self, duration: Duration, number: usize) -> Result<AppendRound, AppendBenchError> {
        if number.is_multiple_of(2) {
            let (single, batch) = (self.measure_commands(duration).await?, self.measure_batches(duration).await?);
            let (raw, raw_mean_ms) = self.measure_pgbench(duration).await?;
            Ok(AppendRound { commands: single, batches: batch, pgbench: raw, pgbench_mean_ms: raw_mean_ms })
        } else {
            let (raw, raw_mean_ms) = self.measure_pgbench(duration).await?;
            let (batch, single) = (self.measure_batches(duration).await?, self.measure_commands(duration).await?);
            Ok(AppendRound { commands: single, batches: batch, pgbench: raw, pgbench_mean_ms: raw_mean_ms })
        }
    }

    async fn measure_pgbench(&self, duration: Duration) -> Result<(AppendMeasurement, f64), AppendBenchError> {
        let server_before = self.server_cpu_time();
        let run = self.pgbench.run(duration).await?;
        Ok((self.with_server_cpu(run.figures, server_before), run.mean_ms))
    }

    async fn measure_commands(&self, duration: Duration) -> Result<AppendMeasurement, AppendBenchError> {
        match self.options.store {
            CommandStoreKind::Medhub => {
                let dispatcher = CommandDispatcher::new(self.event_store.store_for::<()>(), Arc::new(SystemClock));
                let caller = Caller::for_program("system:bench");
                let sender = CommandSender { caller, authority: CallerAuthority::System };
                let shared = Arc::new((dispatcher, sender));
                let execute = move |id: String, command| {
                    let shared = Arc::clone(&shared);
                    async move {
                        let ((dispatcher, sender), conditions) = (&*shared, CommandPreconditions::default());
                        let outcome = dispatcher.dispatch::<Opportunity>(sender, &id, &conditions, command).await;
                        outcome.map(drop).map_err(append_failure("dispatching a command"))
                    }
                };
                self.measure_command_pairs(duration, execute).await
            }
            CommandStoreKind::PostgresEs => {
                let store = eventstore::store::new_baseline_store::<Opportunity>(self.pool.clone());
                let cqrs = Arc::new(CqrsFramework::new(store, vec![], ()));
                let metadata = self.workload.origin.clone().into_map();
                let execute = move |id: String, command| {
                    let (cqrs, metadata) = (Arc::clone(&cqrs), metadata.clone());
                    async move {
                        let outcome = cqrs.execute_with_metadata(&id, command, metadata).await;
                        outcome.map_err(append_failure("executing a command"))
                    }
                };
                self.measure_command_pairs(duration, execute).await
            }
        }
    }

    /// Discovers opportunities and amends each.
    async fn measure_command_pairs<E, Fut>(
        &self,
        duration: Duration,
        execute: E,
    ) -> Result<AppendMeasurement, AppendBenchError>
    where
        E: Fn(String, OpportunityCommand) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<(), AppendBenchError>> + Send,
    {
        self.run_writers(self.options.in_flight, duration, || {
            let (execute, workload) = (execute.clone(), Arc::clone(&self.workload));
            async move |deadline: Instant| {
                let mut waits = new_wait_histogram()?;
                while Instant::now() < deadline {
                    let number = NEXT_STREAM_NUMBER.fetch_add(1, Ordering::Relaxed);
                    for command in [workload.discover_command(number), workload.amend_command()] {
                        let start = Instant::now();
                        execute(stream_id(number), command).await?;
                        waits.saturating_record(elapsed_micros(start));
                    }
                }
                Ok((waits.len(), waits))
            }
        })
        .await
    }

    async fn measure_batches(&self, duration: Duration) -> Result<AppendMeasurement, AppendBenchError> {
        self.run_writers(self.options.batch_writers, duration, || {
            let (workload, sample, size) =
                (Arc::clone(&self.workload), Arc::clone(&self.sample), self.options.batch_events);
            let store = PgBatchStore::new(self.pool.clone());
            async move |deadline: Instant| {
                let (mut events, mut waits) = (0, new_wait_histogram()?);
                while Instant::now() < deadline {
                    let batch = build_batch(&workload, &sample, size);
                    let start = Instant::now();
                    store.append_events(batch).await.map_err(append_failure("appending a batch"))?;
                    waits.saturating_record(elapsed_micros(start));
                    events += u64::try_from(size).unwrap_or(u64::MAX);
                }
                Ok((events, waits))
            }
        })
        .await
    }

    /// Runs `writers` tasks until `duration` is over. Each returns its number of events and its latencies.
    async fn run_writers<F, Fut>(
        &self,
        writers: usize,
        duration: Duration,
        writer: impl Fn() -> F,
    ) -> Result<AppendMeasurement, AppendBenchError>
    where
        F: FnOnce(Instant) -> Fut,
        Fut: Future<Output = Result<(u64, Histogram<u64>), AppendBenchError>> + Send + 'static,
    {
        let (cpu_before, server_before, start) = (cpu_time::process_cpu_time(), self.server_cpu_time(), Instant::now());
        let mut tasks = JoinSet::new();
        for _ in 0..writers {
            tasks.spawn(writer()(start + duration));
        }
        let (mut events, mut waits) = (0, new_wait_histogram()?);
        while let Some(outcome) = tasks.join_next().await {
            let (task_events, task_waits) = outcome.map_err(AppendBenchError::TaskPanicked)??;
            events += task_events;
            // Cannot fail: all histograms have the same bounds.
            let _same_bounds = waits.add(task_waits);
        }
        let cpu = cpu_time::process_cpu_time().saturating_sub(cpu_before);
        let figures = BenchFigures::new(events, start.elapsed(), cpu, Some(&waits));
        Ok(self.with_server_cpu(figures, server_before))
    }

    fn server_cpu_time(&self) -> Option<Duration> {
        self.server.map(PostgresServer::cpu_time)
    }

    #[expect(clippy::cast_precision_loss, reason = "figures are for reading")]
    fn with_server_cpu(&self, figures: BenchFigures, before: Option<Duration>) -> AppendMeasurement {
        let used = self.server_cpu_time().zip(before).map(|(now, before)| now.saturating_sub(before));
        let events = figures.events.max(1) as f64;
        AppendMeasurement { server_us_per_event: used.map(|used| used.as_secs_f64() * 1e6 / events), figures }
    }
}

fn build_batch(workload: &Workload, sample: &SampleEvents, size: usize) -> Vec<NewEvent> {
    let first = NEXT_STREAM_NUMBER.fetch_add(u64::try_from(size).unwrap_or(1), Ordering::Relaxed);
    (first..).take(size).map(|number| workload.discovered_event(stream_id(number), sample)).collect()
}

/// Returns a stream id; ids are spread over the index like the random ids of pgbench.
fn stream_id(number: u64) -> String {
    format!("k{}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn new_wait_histogram() -> Result<Histogram<u64>, AppendBenchError> {
    Histogram::new_with_bounds(1, MAX_WAIT_MICROS, 3).map_err(AppendBenchError::Histogram)
}

fn elapsed_micros(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_micros()).unwrap_or(MAX_WAIT_MICROS)
}

fn append_failure<E>(doing: &'static str) -> impl FnOnce(E) -> AppendBenchError
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    move |source| AppendBenchError::Append { doing, source: source.into() }
}
