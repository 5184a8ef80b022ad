//! Fills the read model of lists with generated opportunities, to measure how it grows.

use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use api::app_context::AppContext;
use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::DomainEvent as _;
use domain::{
    envelope::{EventMetadata, RawEnvelope},
    opportunity::{Award, NoticeDetails, OpportunityEvent, UsdCents},
    value::PUBLIC_TENANT,
};
use projections::{
    OpportunityCriteria,
    opportunity_lists::{OpportunityListRequest, OpportunityOrder},
    runtime::AnyProjection,
};
use uuid::Uuid;

use crate::log;

/// One in this number of opportunities has an award.
const AWARD_STEP: u64 = 4;

/// Days from the publication to the deadline, at most.
const MAX_DEADLINE_DAYS: u64 = 90;

/// Publication of the newest generated opportunity; each other is a minute older than the one before it.
const NEWEST_POSTED: &str = "2026-01-01T00:00:00Z";

/// Writes generated opportunities into the active generation of the lists until it has `opportunities` of them. They
/// are not in the log: `medhub verify` reports them, and a rebuild removes them.
///
/// # Errors
/// When the store does not answer or rejects an event.
pub(super) async fn fill_lists(app: &AppContext, opportunities: u64) -> anyhow::Result<()> {
    let lists = app.read_models.current().opportunity_lists.clone();
    let request =
        OpportunityListRequest::try_new(OpportunityCriteria::default(), None, OpportunityOrder::PostedNewest, None, 1)?
            .with_total();
    let samples = log::sample_payloads()?;
    let samples = samples.iter().map(|payload| serde_json::from_str(payload)).collect::<Result<Vec<_>, _>>()?;
    ensure!(!samples.is_empty(), "there are no samples of opportunities");
    let newest = NEWEST_POSTED.parse::<DateTime<Utc>>()?;
    let batch_events = lists.batch_limits().rebuild_events.max(1);
    let mut batch = Vec::with_capacity(batch_events + 1);
    let mut next_number = 0;
    // Again until there are enough: those that an earlier run has written add nothing.
    loop {
        let page = lists.fetch_page(&request).await.context("counting the listed opportunities")?;
        let missing = opportunities.saturating_sub(page.total.map_or(0, |total| total.count));
        if missing == 0 {
            return Ok(());
        }
        for number in next_number..next_number + missing {
            let index = usize::try_from(number)? % samples.len().max(1);
            let Some(sample) = samples.get(index) else { break };
            batch.extend(generate_events(number, sample, newest)?);
            if batch.len() >= batch_events {
                apply_events(&lists, &batch).await?;
                batch.clear();
            }
        }
        apply_events(&lists, &batch).await?;
        batch.clear();
        next_number += missing;
    }
}

async fn apply_events(lists: &dyn AnyProjection, events: &[RawEnvelope]) -> anyhow::Result<()> {
    let projected = lists.project(&events.iter().collect::<Vec<_>>());
    lists.apply(&projected).await.context("writing generated opportunities to the lists")
}

/// The events of a generated opportunity with the content of a sample, at its own time.
fn generate_events(number: u64, sample: &OpportunityEvent, newest: DateTime<Utc>) -> anyhow::Result<Vec<RawEnvelope>> {
    let OpportunityEvent::Discovered { filing, details } = sample else {
        bail!("a generated notice is no discovery of an opportunity")
    };
    let posted_at = newest - TimeDelta::minutes(i64::try_from(number)?);
    let deadline_days = i64::try_from(1 + number * 7 % MAX_DEADLINE_DAYS)?;
    let (mut filing, mut details) = (filing.clone(), NoticeDetails::clone(details));
    filing.posted_at = posted_at;
    details.response_deadline = Some(posted_at + TimeDelta::days(deadline_days));
    let mut events = vec![OpportunityEvent::Discovered { filing, details: Arc::new(details) }];
    if number.is_multiple_of(AWARD_STEP) {
        let cents = i64::try_from(1 + number.wrapping_mul(2_654_435_761) % 1_000_000_000)?;
        let award = Award { amount: Some(UsdCents(cents)), ..Award::default() };
        events.push(OpportunityEvent::Awarded { key: "bench".to_owned(), award });
    }
    let envelopes = events.iter().zip(1..).map(|(event, sequence)| {
        Ok(RawEnvelope {
            position: 2 * number + sequence,
            event_id: Uuid::from_u128(u128::from(2 * number + sequence)),
            tenant_id: PUBLIC_TENANT.to_owned(),
            aggregate_type: "opportunity".to_owned(),
            aggregate_id: format!("999:BENCH{number:09}"),
            sequence,
            event_type: event.event_type(),
            event_version: event.event_version(),
            recorded_at: posted_at,
            metadata: EventMetadata::default(),
            payload: serde_json::to_string(event)?,
        })
    });
    envelopes.collect()
}
