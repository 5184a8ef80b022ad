//! A log to measure on: made-up opportunities, discovered by the thousand.

use std::io::Cursor;

use anyhow::Context;
use commands::sam::{self, generator};
use domain::opportunity::{NoticeFiling, OpportunityEvent};
use sqlx::{Executor, PgPool};

const FILL_SQL: &str = include_str!("log/fill.sql");
/// Different payloads in the log.
const SAMPLE_COUNT: u64 = 1_000;
/// Events of one insert.
const FILL_BATCH_EVENTS: u64 = 20_000;
/// Records that many discovered opportunities; answers with the mean size of their payloads.
pub(super) async fn fill_log(pool: &PgPool, events: u64) -> anyhow::Result<u64> {
    let payloads = sample_payloads()?;
    let mut first = 1;
    while first <= events {
        let last = events.min(first + FILL_BATCH_EVENTS - 1);
        sqlx::query(FILL_SQL)
            .bind(i64::try_from(first)?)
            .bind(i64::try_from(last)?)
            .bind(&payloads)
            .execute(pool)
            .await
            .context("inserting events")?;
        first = last + 1;
    }
    // Not in one text with other statements: it must stand outside of a transaction.
    pool.execute("vacuum (analyze) events").await.context("gathering statistics")?;
    let bytes: usize = payloads.iter().map(String::len).sum();
    Ok(bytes as u64 / payloads.len().max(1) as u64)
}

/// Payloads of `opportunity.discovered` as an import of made-up notices records them.
pub(super) fn sample_payloads() -> anyhow::Result<Vec<String>> {
    let mut csv = Vec::new();
    generator::write_csv(&mut csv, SAMPLE_COUNT, 1, |_| {}).context("making up notices")?;
    let rows = sam::read_notices(Box::new(Cursor::new(csv)), sam::SourceFormat::Csv, sam::SourceEncoding::Utf8)
        .context("reading made-up notices")?;
    let mut payloads = Vec::new();
    for row in rows {
        // Some are broken on purpose.
        let Ok(notice) = row.context("reading made-up notices")?.outcome else { continue };
        let filing = NoticeFiling::from_notice(&notice);
        let event = OpportunityEvent::Discovered { filing, facts: Box::new(notice.facts) };
        payloads.push(serde_json::to_string(&event)?);
    }
    anyhow::ensure!(!payloads.is_empty(), "no made-up notice could be read");
    Ok(payloads)
}
