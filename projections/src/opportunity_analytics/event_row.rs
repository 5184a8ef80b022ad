//! A row of `events`: one event of any context.

use std::borrow::Cow;

use chrono::{DateTime, SubsecRound, Utc};
use clickhouse::Row;
use domain::{context::BoundedContext, envelope::RawEnvelope};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The context of events of unregistered aggregate types; they are stored like all others.
const UNKNOWN_CONTEXT: &str = "unknown";

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Row, Serialize, Deserialize)]
pub struct EventRow {
    position: u64,
    #[serde(with = "clickhouse::serde::uuid")]
    event_id: Uuid,
    tenant_id: String,
    context: Cow<'static, str>,
    aggregate_type: String,
    aggregate_id: String,
    sequence: u64,
    event_type: String,
    event_version: String,
    #[serde(with = "clickhouse::serde::chrono::datetime64::micros")]
    recorded_at: DateTime<Utc>,
    correlation_id: String,
    causation_id: String,
    user_id: String,
    payload: String,
}

impl EventRow {
    pub(super) const TABLE: &'static str = "events";

    pub(super) fn event_id(&self) -> Uuid {
        self.event_id
    }

    pub(super) fn aggregate_id(&self) -> &str {
        &self.aggregate_id
    }

    pub(super) fn recorded_at(&self) -> DateTime<Utc> {
        self.recorded_at
    }

    /// The values of the table's sorting key, in the order of `contains_event.sql`.
    pub(super) fn sorting_key(&self) -> (&str, &str, &str, i64, Uuid) {
        (&self.tenant_id, &self.context, &self.event_type, self.recorded_at.timestamp_micros(), self.event_id)
    }

    pub(super) fn from_event(event: &RawEnvelope) -> Self {
        Self {
            position: event.position,
            event_id: event.event_id,
            tenant_id: event.tenant_id.clone(),
            context: Cow::Borrowed(context_name(event)),
            aggregate_type: event.aggregate_type.clone(),
            aggregate_id: event.aggregate_id.clone(),
            sequence: event.sequence,
            event_type: event.event_type.clone(),
            event_version: event.event_version.clone(),
            recorded_at: event.recorded_at.trunc_subsecs(6),
            correlation_id: event.metadata.correlation_id.clone(),
            causation_id: event.metadata.causation_id.clone(),
            user_id: event.metadata.user_id.clone(),
            payload: event.payload.clone(),
        }
    }
}

fn context_name(event: &RawEnvelope) -> &'static str {
    BoundedContext::from_aggregate_type(&event.aggregate_type).map_or(UNKNOWN_CONTEXT, BoundedContext::name)
}
