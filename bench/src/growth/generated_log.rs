//! Fills a log with any number of generated events by `COPY`: opportunities, awards, and views of their pages.

use std::{fmt::Write as _, sync::Arc};

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::DomainEvent;
use domain::{
    opportunity::{Award, NoticeDetails, OpportunityEvent, OpportunityId, UsdCents},
    visit::{VisitEvent, VisitUrl},
};
use serde::Serialize;
use sqlx::{Executor as _, PgPool};

use crate::log;

/// One in this number of opportunities has an award.
const AWARD_STEP: u64 = 4;

/// Views of one visit.
const VIEWS_PER_VISIT: u64 = 5;

/// Days from the publication to the deadline, at most.
const MAX_DEADLINE_DAYS: u64 = 90;

/// Publication of the newest generated opportunity; each other is a minute older than the one before it.
const NEWEST_POSTED: &str = "2026-01-01T00:00:00Z";

/// Bytes of one message of the `COPY`, roughly.
const COPY_CHUNK_BYTES: usize = 1 << 20;

const COPY_STATEMENT: &str = "copy events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, \
                              metadata) from stdin";
const METADATA: &str = r#"{"tenant_id": "public", "user_id": "system:bench"}"#;

/// Adds `events` events, with `opportunities` opportunities at most.
///
/// # Errors
/// When Postgres fails.
pub(super) async fn copy_events(pool: &PgPool, events: u64, opportunities: u64) -> anyhow::Result<()> {
    let samples = log::sample_payloads()?;
    let samples = samples.iter().map(|payload| serde_json::from_str(payload)).collect::<Result<Vec<_>, _>>()?;
    let newest = NEWEST_POSTED.parse::<DateTime<Utc>>()?;
    let mut connection = pool.acquire().await.context("connecting")?;
    let mut copy = connection.copy_in_raw(COPY_STATEMENT).await.context("copying events")?;
    let mut rows = EventRows::default();
    let mut number = 0;
    while rows.count < events && number < opportunities {
        let sample = samples.get(usize::try_from(number)? % samples.len().max(1)).context("there are no samples")?;
        rows.push_opportunity(number, sample, newest)?;
        number += 1;
        if rows.text.len() >= COPY_CHUNK_BYTES {
            copy.send(rows.take_text()).await.context("copying events")?;
        }
    }
    ensure!(number > 0, "there are no opportunities");
    for view in 0..events.saturating_sub(rows.count) {
        rows.push_view(view, number, newest)?;
        if rows.text.len() >= COPY_CHUNK_BYTES {
            copy.send(rows.take_text()).await.context("copying events")?;
        }
    }
    copy.send(rows.take_text()).await.context("copying events")?;
    copy.finish().await.context("copying events")?;
    drop(connection);
    // A separate statement: vacuum cannot run in a transaction.
    pool.execute("vacuum (analyze) events").await.context("gathering statistics").map(drop)
}

/// Rows in the text format of `COPY`.
#[derive(Default)]
struct EventRows {
    text: String,
    count: u64,
}

impl EventRows {
    fn take_text(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.text).into_bytes()
    }

    /// The events of an opportunity with the content of a sample, at its own time.
    fn push_opportunity(
        &mut self,
        number: u64,
        sample: &OpportunityEvent,
        newest: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        let OpportunityEvent::Discovered { filing, details } = sample else {
            bail!("a generated notice is no discovery of an opportunity")
        };
        let (mut filing, mut details) = (filing.clone(), NoticeDetails::clone(details));
        filing.posted_at = newest - TimeDelta::minutes(i64::try_from(number)?);
        let deadline_days = i64::try_from(1 + number * 7 % MAX_DEADLINE_DAYS)?;
        details.response_deadline = Some(filing.posted_at + TimeDelta::days(deadline_days));
        details.solicitation_number = Some(format!("BENCH{number:09}"));
        let id = opportunity_id(number);
        let discovered = OpportunityEvent::Discovered { filing, details: Arc::new(details) };
        self.push("opportunity", &id, 1, &discovered)?;
        if number.is_multiple_of(AWARD_STEP) {
            let cents = i64::try_from(1 + number.wrapping_mul(2_654_435_761) % 1_000_000_000)?;
            let award = Award { amount: Some(UsdCents(cents)), ..Award::default() };
            self.push("opportunity", &id, 2, &OpportunityEvent::Awarded { key: "bench".to_owned(), award })?;
        }
        Ok(())
    }

    /// A view of the page of one of this number of opportunities.
    fn push_view(&mut self, view: u64, opportunities: u64, newest: DateTime<Utc>) -> anyhow::Result<()> {
        let viewed = opportunity_id(view.wrapping_mul(2_654_435_761) % opportunities.max(1));
        let event = VisitEvent::PageViewed {
            page_url: VisitUrl::try_new(&format!("/opportunities/{viewed}"))?,
            referrer: None,
            user_id: None,
            opportunity_id: OpportunityId::parse(&viewed),
            at: newest + TimeDelta::milliseconds(i64::try_from(view)?),
        };
        self.push("visit", &format!("bench-{}", view / VIEWS_PER_VISIT), 1 + view % VIEWS_PER_VISIT, &event)
    }

    fn push<E: DomainEvent + Serialize>(
        &mut self,
        aggregate: &str,
        id: &str,
        sequence: u64,
        event: &E,
    ) -> anyhow::Result<()> {
        // JSON has no tabs and line ends of its own; the backslash begins an escape of `COPY`.
        let payload = serde_json::to_string(event)?.replace('\\', "\\\\");
        let (event_type, version) = (event.event_type(), event.event_version());
        writeln!(self.text, "{aggregate}\t{id}\t{sequence}\t{event_type}\t{version}\t{payload}\t{METADATA}")?;
        self.count += 1;
        Ok(())
    }
}

fn opportunity_id(number: u64) -> String {
    format!("999:BENCH{number:09}")
}
