//! Appends as plain SQL text, as one would type them.

use domain::event_store::NewEvent;

const COLUMNS: &str = "aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata";

/// One `INSERT` as text, with its values.
pub(super) fn insert(events: &[NewEvent]) -> anyhow::Result<String> {
    let mut rows = Vec::new();
    for event in events {
        let [kind, id, sequence, name, version, payload, metadata] = fields(event)?.map(|field| quoted(&field, '\''));
        rows.push(format!("({kind}, {id}, {sequence}, {name}, {version}, {payload}, {metadata})"));
    }
    Ok(format!("insert into events ({COLUMNS}) values {}", rows.join(", ")))
}

/// The `COPY` statement; [`copy_rows`] returns its data.
pub(super) fn copy() -> String {
    format!("copy events ({COLUMNS}) from stdin (format csv)")
}

/// The rows as CSV.
pub(super) fn copy_rows(events: &[NewEvent]) -> anyhow::Result<String> {
    let mut text = String::new();
    for event in events {
        text.push_str(&fields(event)?.map(|field| quoted(&field, '"')).join(","));
        text.push('\n');
    }
    Ok(text)
}

fn fields(event: &NewEvent) -> anyhow::Result<[String; 7]> {
    Ok([
        event.aggregate_type.to_owned(),
        event.aggregate_id.clone(),
        event.sequence.to_string(),
        event.event_type.clone(),
        event.event_version.clone(),
        event.payload.clone(),
        serde_json::to_string(&event.metadata)?,
    ])
}

fn quoted(text: &str, quote: char) -> String {
    let doubled = text.replace(quote, &format!("{quote}{quote}"));
    format!("{quote}{doubled}{quote}")
}
