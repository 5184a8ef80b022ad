//! Appends as plain SQL text, as one would type them.

use domain::event_store::NewEvent;

const EVENT_COLUMNS: &str = "aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata";

/// One `INSERT` as text, with its values.
pub(super) fn insert_statement(events: &[NewEvent]) -> anyhow::Result<String> {
    let mut rows = Vec::new();
    for event in events {
        let [kind, id, sequence, name, version, payload, metadata] =
            column_values(event)?.map(|field| quote_text(&field, '\''));
        rows.push(format!("({kind}, {id}, {sequence}, {name}, {version}, {payload}, {metadata})"));
    }
    Ok(format!("insert into events ({EVENT_COLUMNS}) values {}", rows.join(", ")))
}

/// The `COPY` statement; [`csv_rows`] returns its data.
pub(super) fn copy_statement() -> String {
    format!("copy events ({EVENT_COLUMNS}) from stdin (format csv)")
}

/// The rows as CSV.
pub(super) fn csv_rows(events: &[NewEvent]) -> anyhow::Result<String> {
    let mut text = String::new();
    for event in events {
        text.push_str(&column_values(event)?.map(|field| quote_text(&field, '"')).join(","));
        text.push('\n');
    }
    Ok(text)
}

fn column_values(event: &NewEvent) -> anyhow::Result<[String; 7]> {
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

fn quote_text(text: &str, quote: char) -> String {
    let doubled = text.replace(quote, &format!("{quote}{quote}"));
    format!("{quote}{doubled}{quote}")
}
