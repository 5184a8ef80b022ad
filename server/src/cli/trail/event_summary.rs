//! A short text that says what an event is about.

use serde_json::Value;

/// Longest summary, in characters.
const MAX_CHARS: usize = 80;
/// How deep the payload is searched.
const MAX_DEPTH: usize = 4;
/// The fields that say most about an event, the most telling first.
const FIELDS: [&str; 12] = [
    "title",
    "file_name",
    "fileName",
    "subject",
    "reason",
    "kind",
    "note",
    "stage",
    "summary",
    "worker",
    "name",
    "heading",
];

/// Finds the most telling text of a payload; empty if there is none.
pub(super) fn summarize_payload(payload: &str) -> String {
    let Ok(payload) = serde_json::from_str::<Value>(payload) else { return String::new() };
    let found = FIELDS.iter().find_map(|field| find_text(&payload, field, 0));
    found.map(|text| clean_text(text, MAX_CHARS)).unwrap_or_default()
}

/// The text of the field that is nearest to the surface.
fn find_text<'a>(value: &'a Value, field: &str, depth: usize) -> Option<&'a str> {
    let object = value.as_object().filter(|_| depth < MAX_DEPTH)?;
    let own = object.get(field).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    own.or_else(|| object.values().find_map(|inner| find_text(inner, field, depth + 1)))
}

/// One line of at most `limit` characters. Control characters, which a terminal would obey, become spaces.
pub(super) fn clean_text(text: &str, limit: usize) -> String {
    let mut cleaned = String::new();
    let mut characters = text.trim().chars().map(|character| if character.is_control() { ' ' } else { character });
    cleaned.extend(characters.by_ref().take(limit));
    if characters.next().is_some() {
        cleaned.pop();
        cleaned.push('…');
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_the_most_telling_field_wherever_it_is() {
        let task =
            r#"{"type":"requested","job":{"kind":"extract_text","subject":{"kind":"document","id":"d"}},"stamp":{}}"#;
        assert_eq!(summarize_payload(task), "extract_text");
        let notified = r#"{"notification":{"kind":"document_analysed","title":"Document analysed: a.pdf"}}"#;
        assert_eq!(summarize_payload(notified), "Document analysed: a.pdf");
        for nothing in ["", "7", "{\"stamp\":{}}", r#"{"title":" "}"#] {
            assert_eq!(summarize_payload(nothing), "", "{nothing}");
        }
    }

    #[test]
    fn a_summary_has_no_control_characters_and_is_short() {
        assert_eq!(summarize_payload(r#"{"title":"a\u001b[31mb\nc"}"#), "a [31mb c");
        let long = summarize_payload(&format!("{{\"title\":\"{}\"}}", "é".repeat(200)));
        assert_eq!((long.chars().count(), long.chars().last()), (MAX_CHARS, Some('…')));
    }
}
