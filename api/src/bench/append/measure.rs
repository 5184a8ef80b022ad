//! One round: single commands, batches, pgbench.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use cqrs_es::{CqrsFramework, EventStore};
use domain::{
    opportunity::Opportunity,
    store::{BatchStore as _, NewEvent},
};
use eventstore::{append::PgBatchStore, store::PgStore};
use hdrhistogram::Histogram;
use sqlx::PgPool;
use tokio::task::JoinSet;

use super::{
    AppendBenchError, Options, Store,
    database::Database,
    pgbench::Pgbench,
    server_cpu::Server,
    workload::{Sample, Workload},
};
use crate::{
    bench::{Figures, cpu},
    config::Config,
};

/// Numbers of streams; every command and every batch of a run takes new ones.
static NEXT_STREAM: AtomicU64 = AtomicU64::new(1);

/// Waits beyond this many microseconds count as this many.
const LONGEST_WAIT: u64 = 60_000_000;

/// What one measurement gave.
pub(super) struct Measured {
    pub(super) figures: Figures,
    /// Processor time of the server for one event, in microseconds, where it runs on this machine.
    pub(super) server_us_per_event: Option<f64>,
}

/// What one round gave.
pub(super) struct Round {
    pub(super) single: Measured,
    pub(super) batch: Measured,
    pub(super) raw: Measured,
    pub(super) raw_mean_ms: f64,
}

/// Everything that is measured, ready to run.
pub(super) struct Bench {
    options: Options,
    pool: PgPool,
    ours: PgStore<Opportunity>,
    workload: Arc<Workload>,
    sample: Arc<Sample>,
    pgbench: Pgbench,
    server: Option<Server>,
}

impl Bench {
    pub(super) async fn new(
        config: &Config,
        options: &Options,
        database: &Database,
        workload: Workload,
        sample: Sample,
        pgbench: Pgbench,
    ) -> Self {
        Self {
            options: options.clone(),
            ours: PgStore::new(database.pool.clone(), &config.postgres),
            server: Server::behind(&database.pool).await,
            pool: database.pool.clone(),
            workload: Arc::new(workload),
            sample: Arc::new(sample),
            pgbench,
        }
    }

    /// Measures everything once, each for `duration`; odd and even rounds in opposite order.
    pub(super) async fn round(&self, duration: Duration, number: usize) -> Result<Round, AppendBenchError> {
        if number.is_multiple_of(2) {
            let (single, batch) = (self.single(duration).await?, self.batch(duration).await?);
            let (raw, raw_mean_ms) = self.raw(duration).await?;
            Ok(Round { single, batch, raw, raw_mean_ms })
        } else {
            let (raw, raw_mean_ms) = self.raw(duration).await?;
            let (batch, single) = (self.batch(duration).await?, self.single(duration).await?);
            Ok(Round { single, batch, raw, raw_mean_ms })
        }
    }

    async fn raw(&self, duration: Duration) -> Result<(Measured, f64), AppendBenchError> {
        let server_before = self.server_cpu();
        let run = self.pgbench.run(duration).await?;
        Ok((self.with_server(run.figures, server_before), run.mean_ms))
    }

    async fn single(&self, duration: Duration) -> Result<Measured, AppendBenchError> {
        match self.options.store {
            Store::Medhub => self.commands(CqrsFramework::new(self.ours.clone(), vec![], ()), duration).await,
            Store::PostgresEs => {
                let store = eventstore::store::baseline(self.pool.clone());
                self.commands(CqrsFramework::new(store, vec![], ()), duration).await
            }
        }
    }

    async fn commands<S>(
        &self,
        cqrs: CqrsFramework<Opportunity, S>,
        duration: Duration,
    ) -> Result<Measured, AppendBenchError>
    where
        S: EventStore<Opportunity> + 'static,
        S::AC: Send,
    {
        let cqrs = Arc::new(cqrs);
        self.measure(self.options.in_flight, duration, || {
            let (cqrs, workload) = (Arc::clone(&cqrs), Arc::clone(&self.workload));
            async move |deadline: Instant| {
                let mut waits = waits()?;
                while Instant::now() < deadline {
                    let number = NEXT_STREAM.fetch_add(1, Ordering::Relaxed);
                    let id = stream(number);
                    for command in [workload.discover(number), workload.amend()] {
                        let start = Instant::now();
                        cqrs.execute_with_metadata(&id, command, workload.origin.clone().into_map())
                            .await
                            .map_err(failed("executing a command"))?;
                        waits.saturating_record(micros(start));
                    }
                }
                Ok((waits.len(), waits))
            }
        })
        .await
    }

    async fn batch(&self, duration: Duration) -> Result<Measured, AppendBenchError> {
        self.measure(self.options.batch_writers, duration, || {
            let (workload, sample, size) = (Arc::clone(&self.workload), Arc::clone(&self.sample), self.options.batch);
            let store = PgBatchStore::new(self.pool.clone());
            async move |deadline: Instant| {
                let (mut events, mut waits) = (0, waits()?);
                while Instant::now() < deadline {
                    let batch = batch(&workload, &sample, size);
                    let start = Instant::now();
                    store.append_many(batch).await.map_err(failed("appending a batch"))?;
                    waits.saturating_record(micros(start));
                    events += u64::try_from(size).unwrap_or(u64::MAX);
                }
                Ok((events, waits))
            }
        })
        .await
    }

    /// Runs `writers` tasks until `duration` is over. Each answers with its events and its waits.
    async fn measure<F, Fut>(
        &self,
        writers: usize,
        duration: Duration,
        writer: impl Fn() -> F,
    ) -> Result<Measured, AppendBenchError>
    where
        F: FnOnce(Instant) -> Fut,
        Fut: Future<Output = Result<(u64, Histogram<u64>), AppendBenchError>> + Send + 'static,
    {
        let (cpu_before, server_before, start) = (cpu::of_this_process(), self.server_cpu(), Instant::now());
        let mut tasks = JoinSet::new();
        for _ in 0..writers {
            tasks.spawn(writer()(start + duration));
        }
        let (mut events, mut waits) = (0, waits()?);
        while let Some(ended) = tasks.join_next().await {
            let (of_task, waits_of_task) = ended.map_err(AppendBenchError::BrokeOff)??;
            events += of_task;
            // Made alike, so that they can be added.
            let _same_bounds = waits.add(waits_of_task);
        }
        let cpu = cpu::of_this_process().saturating_sub(cpu_before);
        let figures = Figures::new(events, start.elapsed(), cpu, Some(&waits));
        Ok(self.with_server(figures, server_before))
    }

    fn server_cpu(&self) -> Option<Duration> {
        self.server.map(Server::used)
    }

    #[expect(clippy::cast_precision_loss, reason = "figures are for reading")]
    fn with_server(&self, figures: Figures, before: Option<Duration>) -> Measured {
        let used = self.server_cpu().zip(before).map(|(now, before)| now.saturating_sub(before));
        let events = figures.events.max(1) as f64;
        Measured { server_us_per_event: used.map(|used| used.as_secs_f64() * 1e6 / events), figures }
    }
}

fn batch(workload: &Workload, sample: &Sample, size: usize) -> Vec<NewEvent> {
    let first = NEXT_STREAM.fetch_add(u64::try_from(size).unwrap_or(1), Ordering::Relaxed);
    (first..).take(size).map(|number| workload.event(stream(number), sample)).collect()
}

/// Streams that are as spread over the index as pgbench's, which are random.
fn stream(number: u64) -> String {
    format!("k{}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn waits() -> Result<Histogram<u64>, AppendBenchError> {
    Histogram::new_with_bounds(1, LONGEST_WAIT, 3).map_err(AppendBenchError::Waits)
}

fn micros(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_micros()).unwrap_or(LONGEST_WAIT)
}

fn failed<E>(doing: &'static str) -> impl FnOnce(E) -> AppendBenchError
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    move |source| AppendBenchError::Append { doing, source: source.into() }
}
