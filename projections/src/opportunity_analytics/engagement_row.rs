//! A row of `engagement`: a page view, a click, a save or an unsave.

use std::borrow::Cow;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use clickhouse::Row;
use domain::{envelope::RawEnvelope, time_text};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The window around the time of recording where an event is counted; the same as in `0006_engagement_window.sql`.
const MAX_PAST: TimeDelta = TimeDelta::days(1_096);
const MAX_FUTURE: TimeDelta = TimeDelta::days(1);

/// One engagement: a page view, a click, a save or an unsave.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Row, Serialize, Deserialize)]
pub struct EngagementRow {
    #[serde(with = "clickhouse::serde::uuid")]
    event_id: Uuid,
    position: u64,
    tenant_id: String,
    kind: Cow<'static, str>,
    opportunity_id: String,
    aggregate_id: String,
    user_id: String,
    page_url: String,
    target_url: String,
    #[serde(with = "clickhouse::serde::chrono::datetime64::micros")]
    at: DateTime<Utc>,
    #[serde(with = "clickhouse::serde::chrono::datetime64::micros")]
    recorded_at: DateTime<Utc>,
}

/// An engagement event that this program cannot decode.
#[derive(Debug, thiserror::Error)]
pub(super) enum EngagementError {
    /// The event's type and version are not among the supported ones.
    #[error("unknown engagement event {event_type} {event_version}")]
    Unknown { event_type: String, event_version: String },
    /// The payload does not have the fields that the event's type requires.
    #[error("reading the payload of {event_type}")]
    Payload {
        event_type: String,
        #[source]
        source: serde_json::Error,
    },
}

/// The fields of all four event types; each type has some of them.
#[derive(Debug, Deserialize)]
pub(super) struct EngagementPayload {
    #[serde(deserialize_with = "time_text::deserialize_time")]
    pub(super) at: DateTime<Utc>,
    #[serde(default)]
    pub(super) page_url: String,
    #[serde(default)]
    pub(super) target_url: Option<String>,
    #[serde(default)]
    pub(super) user_id: Option<String>,
    #[serde(default)]
    pub(super) opportunity_id: Option<String>,
}

/// Whether an event is engagement: any event of a visit, or an event of a watchlist that concerns an opportunity.
pub(super) fn is_engagement(event: &RawEnvelope) -> bool {
    match event.aggregate_type.as_str() {
        "visit" => true,
        "watchlist" => !event.event_type.starts_with("watchlist.search_"),
        _ => false,
    }
}

impl EngagementPayload {
    pub(super) fn from_event(event: &RawEnvelope) -> Result<Self, EngagementError> {
        serde_json::from_str(&event.payload)
            .map_err(|source| EngagementError::Payload { event_type: event.event_type.clone(), source })
    }
}

impl EngagementRow {
    pub(super) const TABLE: &'static str = "engagement";

    pub(super) fn from_event(event: &RawEnvelope) -> Result<Self, EngagementError> {
        let kind = match (event.event_type.as_str(), event.event_version.as_str()) {
            ("visit.page_viewed", "1.0") => "view",
            ("visit.link_clicked", "1.0") => "click",
            ("watchlist.opportunity_saved", "1.0") => "save",
            ("watchlist.opportunity_unsaved", "1.0") => "unsave",
            (event_type, event_version) => {
                let (event_type, event_version) = (event_type.to_owned(), event_version.to_owned());
                return Err(EngagementError::Unknown { event_type, event_version });
            }
        };
        let payload = EngagementPayload::from_event(event)?;
        // The id of a watchlist is the id of its user.
        let user_id =
            payload.user_id.or_else(|| (event.aggregate_type == "watchlist").then(|| event.aggregate_id.clone()));
        Ok(Self {
            event_id: event.event_id,
            position: event.position,
            tenant_id: event.tenant_id.clone(),
            kind: Cow::Borrowed(kind),
            opportunity_id: payload.opportunity_id.unwrap_or_default(),
            aggregate_id: event.aggregate_id.clone(),
            user_id: user_id.unwrap_or_default(),
            page_url: payload.page_url,
            target_url: payload.target_url.unwrap_or_default(),
            at: clamp_time(payload.at),
            recorded_at: event.recorded_at.trunc_subsecs(6),
        })
    }

    pub(super) fn aggregate_id(&self) -> &str {
        &self.aggregate_id
    }

    pub(super) fn event_id(&self) -> Uuid {
        self.event_id
    }
}

/// Clamps a time to the range of the minute and hour columns: clients set these times, and their clocks may be wrong.
pub(super) fn clamp_time(at: DateTime<Utc>) -> DateTime<Utc> {
    const LATEST: DateTime<Utc> = match DateTime::from_timestamp(4_102_444_799, 0) {
        Some(latest) => latest,
        None => DateTime::UNIX_EPOCH,
    };
    at.trunc_subsecs(6).clamp(DateTime::UNIX_EPOCH, LATEST)
}

/// The time in whose minute and hour an event is counted: the client's time, clamped to a window around `recorded_at`.
pub(super) fn clamp_to_window(at: DateTime<Utc>, recorded_at: DateTime<Utc>) -> DateTime<Utc> {
    let recorded_at = recorded_at.trunc_subsecs(6);
    clamp_time(at).clamp(recorded_at - MAX_PAST, recorded_at + MAX_FUTURE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::engagement_event;

    #[test]
    fn a_view_has_user_page_and_opportunity() {
        let payload = r#"{"type":"page_viewed","page_url":"/o/1","user_id":"ann","opportunity_id":"036:A","at":"2026-03-03T12:00:00Z"}"#;
        let row = EngagementRow::from_event(&engagement_event("visit", "visit.page_viewed", payload)).unwrap();
        assert_eq!((&*row.kind, row.user_id.as_str(), row.opportunity_id.as_str()), ("view", "ann", "036:A"));
        assert_eq!((row.page_url.as_str(), row.target_url.as_str(), row.aggregate_id.as_str()), ("/o/1", "", "stream"));
    }

    #[test]
    fn a_save_has_the_user_of_the_watchlist() {
        let payload = r#"{"type":"opportunity_saved","opportunity_id":"036:A","at":"2026-03-03T12:00:00Z"}"#;
        let row =
            EngagementRow::from_event(&engagement_event("watchlist", "watchlist.opportunity_saved", payload)).unwrap();
        assert_eq!((&*row.kind, row.user_id.as_str()), ("save", "stream"));
    }

    #[test]
    fn a_client_time_outside_the_window_is_clamped() {
        let recorded: DateTime<Utc> = "2026-03-03T12:00:00Z".parse().unwrap();
        for (at, counted) in [
            ("2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z"),
            ("1970-01-01T00:00:00Z", "2023-03-03T12:00:00Z"),
            ("0001-01-01T00:00:00Z", "2023-03-03T12:00:00Z"),
            ("9999-12-31T00:00:00Z", "2026-03-04T12:00:00Z"),
        ] {
            let counted: DateTime<Utc> = counted.parse().unwrap();
            assert_eq!(clamp_to_window(at.parse().unwrap(), recorded), counted, "{at}");
        }
    }

    #[test]
    fn a_saved_search_is_not_engagement() {
        assert!(is_engagement(&engagement_event("watchlist", "watchlist.opportunity_saved", "{}")));
        assert!(!is_engagement(&engagement_event("watchlist", "watchlist.search_saved", "{}")));
    }

    #[test]
    fn an_event_that_cannot_be_decoded_is_refused() {
        let unknown = EngagementRow::from_event(&engagement_event("visit", "visit.ended", "{}"));
        assert!(matches!(unknown, Err(EngagementError::Unknown { .. })), "{unknown:?}");
        let broken = EngagementRow::from_event(&engagement_event("visit", "visit.page_viewed", "{}"));
        assert!(matches!(broken, Err(EngagementError::Payload { .. })), "{broken:?}");
    }

    #[test]
    fn a_time_outside_the_range_of_the_columns_is_clamped() {
        let time = |text: &str| clamp_time(text.parse().unwrap()).to_rfc3339();
        assert_eq!(time("1492-10-12T00:00:00Z"), "1970-01-01T00:00:00+00:00");
        assert_eq!(time("9999-01-01T00:00:00Z"), "2099-12-31T23:59:59+00:00");
        assert_eq!(time("2026-03-03T12:00:00.123456789Z"), "2026-03-03T12:00:00.123456+00:00");
    }
}
