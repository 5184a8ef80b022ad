//! Recorded changes of a feature flag.

use std::collections::VecDeque;

use anyhow::{Context, bail};
use chrono::SecondsFormat;
use cqrs_es::Aggregate;
use domain::{
    envelope::RawEnvelope,
    feature_flag::{FeatureFlag, FeatureFlagEvent, FlagKey},
    log_reader::LogReader,
};
use eventstore::log::PgLogReader;
use serde_json::json;
use sqlx::PgPool;

/// Events per read of the log.
const PAGE_EVENTS: u32 = 1_000;

/// Formats the latest `limit` changes of a flag, oldest first.
pub(super) async fn format_history(pool: &PgPool, key: &FlagKey, limit: usize, json: bool) -> anyhow::Result<String> {
    let log = PgLogReader::new(pool.clone());
    let mut lines = VecDeque::new();
    let mut after = 0;
    loop {
        let page = log.load_stream(FeatureFlag::TYPE, key.as_str(), after, PAGE_EVENTS).await;
        let page = page.with_context(|| format!("reading the changes of {key}"))?;
        let Some(last) = page.last() else { break };
        after = last.sequence;
        for event in &page {
            lines.push_back(format_change(event, json)?);
            if lines.len() > limit {
                lines.pop_front();
            }
        }
    }
    if lines.is_empty() {
        bail!("the flag {key} was never defined; `medhub flags list` lists all");
    }
    Ok(Vec::from(lines).join("\n"))
}

fn format_change(event: &RawEnvelope, json: bool) -> anyhow::Result<String> {
    let change: FeatureFlagEvent = event.decode()?;
    let (by, reason) = (&event.metadata.user_id, change.reason());
    if json {
        let object = json!({
            "version": event.sequence,
            "type": event.event_type,
            "summary": change.summary(),
            "reason": reason,
            "by": by,
            "correlationId": event.metadata.correlation_id,
            "recordedAt": event.recorded_at,
            "event": change,
        });
        return Ok(object.to_string());
    }
    let at = event.recorded_at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    Ok(format!("{} {at} {by} {}{reason}", event.sequence, change.summary()))
}
