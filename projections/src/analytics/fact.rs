//! A row of `events`: one event of any context.

use chrono::{DateTime, Utc};
use clickhouse::{Row, query::Query};
use domain::{context::Context, envelope::RawRecorded};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The context of aggregates that nobody registered; their events are facts all the same.
const UNKNOWN_CONTEXT: &str = "unknown";

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Row, Serialize, Deserialize)]
pub struct FactRow {
    position: u64,
    #[serde(with = "clickhouse::serde::uuid")]
    event_id: Uuid,
    tenant_id: String,
    context: String,
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

impl FactRow {
    pub(super) const TABLE: &'static str = "events";

    /// The same with its payload in one form: what travelled through Kafka may be written in another order.
    pub(super) fn comparable(self) -> Self {
        let payload =
            serde_json::from_str::<serde_json::Value>(&self.payload).map_or(self.payload, |value| value.to_string());
        Self { payload, ..self }
    }

    /// Binds what the table is sorted by, so that the fact is found without a walk through the table.
    pub(super) fn bind_key(&self, query: Query) -> Query {
        query
            .bind(&self.tenant_id)
            .bind(&self.context)
            .bind(&self.event_type)
            .bind(self.recorded_at.timestamp_micros())
            .bind(self.event_id.to_string())
    }

    pub(super) fn recorded_at(&self) -> DateTime<Utc> {
        self.recorded_at
    }

    pub(super) fn event_id(&self) -> Uuid {
        self.event_id
    }

    pub(super) fn of(event: &RawRecorded) -> Self {
        Self {
            position: event.position,
            event_id: event.event_id,
            tenant_id: event.tenant_id.clone(),
            context: Context::of_aggregate(&event.aggregate_type).map_or(UNKNOWN_CONTEXT, Context::name).to_owned(),
            aggregate_type: event.aggregate_type.clone(),
            aggregate_id: event.aggregate_id.clone(),
            sequence: event.sequence,
            event_type: event.event_type.clone(),
            event_version: event.event_version.clone(),
            recorded_at: event.recorded_at,
            correlation_id: event.metadata.correlation_id.clone(),
            causation_id: event.metadata.causation_id.clone(),
            user_id: event.metadata.user_id.clone(),
            payload: event.payload.clone(),
        }
    }
}
