//! Fills a log with generated opportunities.

use std::{io::Cursor, sync::Arc};

use anyhow::Context;
use domain::{
    event_version::VersionedEvents,
    opportunity::{NoticeFiling, OpportunityEvent},
};
use sqlx::{Executor, PgPool};
use synthetic::notice_generator;

const FILL_SQL: &str = include_str!("log/fill.sql");
/// Number of distinct payloads.
const SAMPLE_COUNT: u64 = 1_000;
/// Events per insert.
const FILL_BATCH_EVENTS: u64 = 20_000;

/// Inserts `events` events `opportunity.discovered`; returns the mean size of their payloads in bytes.
pub(super) async fn fill_log(pool: &PgPool, events: u64) -> anyhow::Result<u64> {
    let payloads = sample_payloads()?;
    let mut first = 1;
    while first <= events {
        let last = events.min(first + FILL_BATCH_EVENTS - 1);
        sqlx::query(FILL_SQL)
            .bind(i64::try_from(first)?)
            .bind(i64::try_from(last)?)
            .bind(&payloads)
            .bind(sample_event_version()?)
            .execute(pool)
            .await
            .context("inserting events")?;
        first = last + 1;
    }
    // A separate statement: vacuum cannot run in a transaction.
    pool.execute("vacuum (analyze) events").await.context("gathering statistics")?;
    let bytes: usize = payloads.iter().map(String::len).sum();
    Ok(bytes as u64 / payloads.len().max(1) as u64)
}

/// Returns the schema version of the sample payloads: the one that is recorded now, so that nothing is upcast.
pub(super) fn sample_event_version() -> anyhow::Result<&'static str> {
    let mut histories = OpportunityEvent::VERSION_HISTORIES.iter();
    let history = histories.find(|history| history.event_type == "opportunity.discovered");
    history.map(|history| history.current).context("opportunity.discovered has no version")
}

/// Returns payloads of `opportunity.discovered` as an import of generated notices records them.
pub(super) fn sample_payloads() -> anyhow::Result<Vec<String>> {
    let mut csv = Vec::new();
    notice_generator::write_csv(&mut csv, SAMPLE_COUNT, 1, |_| {}).context("generating notices")?;
    let rows =
        sam_gov::read_notices(Box::new(Cursor::new(csv)), sam_gov::SourceFormat::Csv, sam_gov::SourceEncoding::Utf8)
            .context("reading generated notices")?;
    let mut payloads = Vec::new();
    for row in rows {
        // Some rows are invalid on purpose.
        let Ok(notice) = row.context("reading generated notices")?.outcome else { continue };
        let filing = NoticeFiling::from_notice(&notice);
        let event = OpportunityEvent::Discovered { filing, details: Arc::new(notice.details) };
        payloads.push(serde_json::to_string(&event)?);
    }
    anyhow::ensure!(!payloads.is_empty(), "no generated notice is valid");
    Ok(payloads)
}
