//! Events that tests append to the log: each says that an opportunity was discovered.
#![expect(clippy::unwrap_used, reason = "a harness fails a test by panicking")]

use domain::{envelope::EventMetadata, event_store::NewEvent};
use sqlx::PgConnection;

/// A payload of `opportunity.discovered` 1.0 that differs from others by its title.
pub fn discovered_payload(title: &str) -> String {
    serde_json::json!({
        "type": "discovered",
        "filing": { "notice_id": "n1", "source": "sam_csv", "posted_at": "2026-03-03T12:00:00Z", "digest": "d" },
        "facts": {
            "title": title,
            "notice_type": "Solicitation",
            "agency": { "code": "036", "name": "VETERANS AFFAIRS, DEPARTMENT OF" },
        },
    })
    .to_string()
}

/// The event with this sequence in an opportunity's stream; its title is the sequence.
pub fn discovered_event(aggregate: &str, sequence: u64) -> NewEvent {
    NewEvent {
        aggregate_type: "opportunity",
        aggregate_id: aggregate.to_owned(),
        sequence,
        event_type: "opportunity.discovered".to_owned(),
        event_version: "1.0".to_owned(),
        payload: discovered_payload(&sequence.to_string()),
        metadata: EventMetadata::default(),
    }
}

/// Appends such an event by a plain SQL statement, as any client of the database could.
///
/// # Panics
/// If Postgres refuses it.
pub async fn insert_event(connection: &mut PgConnection, aggregate: &str, sequence: i64) {
    sqlx::query(
        "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
         values ('opportunity', $1, $2, 'opportunity.discovered', '1.0', $3::json, '{}')",
    )
    .bind(aggregate)
    .bind(sequence)
    .bind(discovered_payload(&sequence.to_string()))
    .execute(connection)
    .await
    .unwrap();
}
