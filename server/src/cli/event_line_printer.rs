//! Events as JSON lines on standard output.

use std::io;

use chrono::{DateTime, SecondsFormat, Utc};
use domain::envelope::{EventMetadata, RawEnvelope};
use serde::{Serialize, Serializer};
use tokio::io::{AsyncWriteExt, Stdout};
use uuid::Uuid;

/// The fields of a line before the payload.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventLineHeader<'a> {
    position: u64,
    event_id: Uuid,
    tenant_id: &'a str,
    aggregate_type: &'a str,
    aggregate_id: &'a str,
    sequence: u64,
    event_type: &'a str,
    version: &'a str,
    #[serde(serialize_with = "with_microseconds")]
    recorded_at: DateTime<Utc>,
    metadata: &'a EventMetadata,
}

/// Prints events, one JSON object per line. Cancelling may cut a line off.
pub(super) struct EventLinePrinter {
    out: Stdout,
    lines: Vec<u8>,
}

impl EventLinePrinter {
    pub(super) fn new() -> Self {
        Self { out: tokio::io::stdout(), lines: Vec::new() }
    }

    /// Prints events and flushes standard output.
    ///
    /// # Errors
    /// When standard output cannot be written to, for example because its reader has exited.
    pub(super) async fn print_events(&mut self, events: &[RawEnvelope]) -> io::Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        self.lines.clear();
        for event in events {
            append_event_line(&mut self.lines, event)?;
        }
        self.out.write_all(&self.lines).await?;
        self.out.flush().await
    }
}

fn append_event_line(lines: &mut Vec<u8>, event: &RawEnvelope) -> io::Result<()> {
    let envelope = EventLineHeader {
        position: event.position,
        event_id: event.event_id,
        tenant_id: &event.tenant_id,
        aggregate_type: &event.aggregate_type,
        aggregate_id: &event.aggregate_id,
        sequence: event.sequence,
        event_type: &event.event_type,
        version: &event.event_version,
        recorded_at: event.recorded_at,
        metadata: &event.metadata,
    };
    serde_json::to_writer(&mut *lines, &envelope)?;
    // The payload is appended unparsed, as recorded: behind the last field, in place of the closing brace.
    lines.pop();
    lines.extend_from_slice(b",\"payload\":");
    let payload = lines.len();
    lines.extend_from_slice(event.payload.as_bytes());
    // Postgres accepted the payload, so it is valid JSON, and a line break in it is only whitespace.
    for byte in lines.iter_mut().skip(payload).filter(|byte| matches!(**byte, b'\n' | b'\r')) {
        *byte = b' ';
    }
    lines.extend_from_slice(b"}\n");
    Ok(())
}

fn with_microseconds<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&time.to_rfc3339_opts(SecondsFormat::Micros, true))
}

#[cfg(test)]
mod tests {
    use domain::envelope::Envelope;

    use super::*;

    #[test]
    fn an_event_is_one_line_with_its_payload_as_recorded() {
        let event = Envelope {
            position: 42,
            event_id: Uuid::from_u128(7),
            tenant_id: "public".into(),
            aggregate_type: "opportunity".into(),
            aggregate_id: "097:\"X".into(),
            sequence: 3,
            event_type: "opportunity.amended".into(),
            event_version: "1.0".into(),
            recorded_at: "2026-03-03T12:17:50.8Z".parse().unwrap(),
            metadata: EventMetadata { tenant_id: "public".into(), ..EventMetadata::default() },
            payload: "{\n  \"b\": 1.50,\r\n  \"a\": \"x\\n\"\n}".into(),
        };
        let mut lines = Vec::new();
        append_event_line(&mut lines, &event).unwrap();
        assert_eq!(
            String::from_utf8(lines).unwrap(),
            "{\"position\":42,\"eventId\":\"00000000-0000-0000-0000-000000000007\",\"tenantId\":\"public\",\
             \"aggregateType\":\"opportunity\",\"aggregateId\":\"097:\\\"X\",\"sequence\":3,\
             \"eventType\":\"opportunity.amended\",\"version\":\"1.0\",\"recordedAt\":\"2026-03-03T12:17:50.800000Z\",\
             \"metadata\":{\"tenant_id\":\"public\"},\"payload\":{   \"b\": 1.50,    \"a\": \"x\\n\" }}\n"
        );
    }
}
