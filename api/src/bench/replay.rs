//! `bench replay`: the reader of the log beside a plain `COPY` of the same table.

use std::{hint::black_box, time::Instant};

use anyhow::Context;
use eventstore::{
    postgres::PostgresConfig,
    reader::{Replay, ReplayOptions},
};
use futures::TryStreamExt;
use sqlx::PgPool;

use super::{Figures, Report, cpu, database, log, memory, micros, waits};

/// The least equivalent work: the whole table to the same client, which throws it away.
const RAW: &str = "copy events to stdout";

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// Events in the log.
    pub events: u64,
    /// Runs of each of the two.
    pub rounds: u32,
}

/// Fills a log of its own and measures both, in turns.
///
/// # Errors
/// When Postgres does not do its part, or the reader does not read every event.
pub async fn run(config: &PostgresConfig, work: Work) -> anyhow::Result<Report> {
    database::with_own(config, async |own| {
        own.measure(async {
            let payload_bytes = log::fill(&own.pool, work.events).await.context("filling the log")?;
            measure(&own.pool, work, payload_bytes).await
        })
        .await
    })
    .await
}

async fn measure(pool: &PgPool, work: Work, payload_bytes: u64) -> anyhow::Result<Report> {
    let peak = memory::peak();
    // Both once for nothing, so that the table is in memory and the code in the caches.
    raw(pool, work.events).await?;
    ours(pool, work.events).await?;
    let (mut raws, mut ourses) = (Vec::new(), Vec::new());
    for _ in 0..work.rounds {
        raws.push(raw(pool, work.events).await?);
        ourses.push(ours(pool, work.events).await?);
    }
    let (raw, ours) = (Figures::median(raws)?, Figures::median(ourses)?);
    let grown = memory::peak().saturating_sub(peak);
    Ok(Report::new("replay", ours, "COPY events TO STDOUT, read by the same client and thrown away", raw)
        .with("rounds", work.rounds)
        .with("payload_bytes", payload_bytes)
        .with("memory_growth_bytes", grown))
}

/// Every event as the reader's callers get it. The waits are those for a batch.
async fn ours(pool: &PgPool, expected: u64) -> anyhow::Result<Figures> {
    let mut waits = waits()?;
    let (started, cpu) = (Instant::now(), cpu::of_this_process());
    let mut replay = Replay::start(pool, ReplayOptions::default()).await?;
    let mut events = 0_u64;
    loop {
        let asked = Instant::now();
        let Some(batch) = replay.next_batch().await? else { break };
        waits.saturating_record(micros(asked.elapsed()));
        events += batch.events.len() as u64;
        black_box(batch);
    }
    let figures = Figures::new(events, started.elapsed(), cpu::of_this_process().saturating_sub(cpu), Some(&waits));
    anyhow::ensure!(events == expected, "the reader gave {events} events of {expected}");
    Ok(figures)
}

async fn raw(pool: &PgPool, events: u64) -> anyhow::Result<Figures> {
    let (started, cpu) = (Instant::now(), cpu::of_this_process());
    let mut connection = pool.acquire().await.context("connecting")?;
    let mut chunks = connection.copy_out_raw(RAW).await.context("copying the log")?;
    while let Some(chunk) = chunks.try_next().await.context("copying the log")? {
        black_box(chunk);
    }
    Ok(Figures::new(events, started.elapsed(), cpu::of_this_process().saturating_sub(cpu), None))
}
