//! `bench replay`: measures the log reader beside a plain `COPY` of the same table.

use std::{hint::black_box, time::Instant};

use anyhow::Context;
use eventstore::{
    log::{LogReplay, ReplayOptions},
    postgres::PostgresConfig,
};
use futures::TryStreamExt;
use sqlx::PgPool;

use super::{BenchFigures, BenchReport, bench_database, cpu_time, log, memory, new_wait_histogram, to_micros};

/// The baseline: sends the whole table to the same client, which discards it.
const COPY_STATEMENT: &str = "copy events to stdout";

/// Options of the benchmark.
#[derive(Debug, Clone, Copy)]
pub struct ReplayBenchOptions {
    /// Number of events in the log.
    pub events: u64,
    /// Measurements of each of the two.
    pub rounds: u32,
}

/// Fills a log and measures both in turns.
///
/// # Errors
/// When Postgres fails, or the reader does not read every event.
pub async fn run(config: &PostgresConfig, options: ReplayBenchOptions) -> anyhow::Result<BenchReport> {
    bench_database::with_bench_database(config, async |database| {
        database
            .run_until_interrupted(async {
                let payload_bytes = log::fill_log(&database.pool, options.events).await.context("filling the log")?;
                run_rounds(&database.pool, options, payload_bytes).await
            })
            .await
    })
    .await
}

async fn run_rounds(pool: &PgPool, options: ReplayBenchOptions, payload_bytes: u64) -> anyhow::Result<BenchReport> {
    let peak = memory::peak_memory_bytes();
    // A warm-up run of both, so that the table is in memory and the code in the caches.
    measure_copy(pool, options.events).await?;
    measure_reader(pool, options.events).await?;
    let (mut copy_runs, mut reader_runs) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        copy_runs.push(measure_copy(pool, options.events).await?);
        reader_runs.push(measure_reader(pool, options.events).await?);
    }
    let (copy, reader) = (BenchFigures::median(copy_runs.clone())?, BenchFigures::median(reader_runs.clone())?);
    let memory_growth = memory::peak_memory_bytes().saturating_sub(peak);
    Ok(BenchReport::new("replay", reader, "COPY events TO STDOUT, read and discarded by the same client", copy)
        .with_throughput("replay/read", &reader_runs, &copy_runs)
        .with_figure("rounds", options.rounds)
        .with_figure("payload_bytes", payload_bytes)
        .with_figure("memory_growth_bytes", memory_growth))
}

/// Reads every event with the log reader. Latencies are measured per batch.
pub(super) async fn measure_reader(pool: &PgPool, expected: u64) -> anyhow::Result<BenchFigures> {
    let mut waits = new_wait_histogram()?;
    let (started, cpu) = (Instant::now(), cpu_time::process_cpu_time());
    let mut replay = LogReplay::start(pool, ReplayOptions::default()).await?;
    let mut events = 0_u64;
    loop {
        let requested_at = Instant::now();
        let Some(batch) = replay.next_batch().await? else { break };
        waits.saturating_record(to_micros(requested_at.elapsed()));
        events += batch.events.len() as u64;
        black_box(batch);
    }
    let figures =
        BenchFigures::new(events, started.elapsed(), cpu_time::process_cpu_time().saturating_sub(cpu), Some(&waits));
    anyhow::ensure!(events == expected, "the reader returned {events} of {expected} events");
    Ok(figures)
}

async fn measure_copy(pool: &PgPool, events: u64) -> anyhow::Result<BenchFigures> {
    let (started, cpu) = (Instant::now(), cpu_time::process_cpu_time());
    let mut connection = pool.acquire().await.context("connecting")?;
    let mut chunks = connection.copy_out_raw(COPY_STATEMENT).await.context("copying the log")?;
    while let Some(chunk) = chunks.try_next().await.context("copying the log")? {
        black_box(chunk);
    }
    Ok(BenchFigures::new(events, started.elapsed(), cpu_time::process_cpu_time().saturating_sub(cpu), None))
}
