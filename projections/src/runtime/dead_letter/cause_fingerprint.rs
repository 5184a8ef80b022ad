//! Fingerprints causes, so that dead letters of one cause are counted together.

use uuid::Uuid;

/// Fingerprint of a cause, eight hexadecimal digits: equal for reasons that differ only in numbers, ids and quoted
/// parts.
pub(in crate::runtime) fn cause_fingerprint(event_type: &str, reason: &str) -> String {
    let normalized = normalize_reason(reason);
    let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{event_type}\0{normalized}").as_bytes());
    hash.simple().to_string().chars().take(8).collect()
}

/// Removes the parts of a reason that differ between events: words with a digit in them, and quoted parts.
fn normalize_reason(reason: &str) -> String {
    let mut in_quotes = false;
    let mut words = vec![];
    for word in reason.split_whitespace() {
        let quote_marks = word.matches(['"', '`', '\u{201c}', '\u{201d}']).count();
        let is_quoted = in_quotes || quote_marks > 0;
        if quote_marks % 2 == 1 {
            in_quotes = !in_quotes;
        }
        // Field names in backticks distinguish causes: `unknown field `x`` is another cause than `y`.
        let is_field_name = word.contains('`') && !word.contains('"');
        if is_quoted && !is_field_name {
            words.push("…");
        } else if word.chars().any(|c| c.is_ascii_digit()) {
            words.push("#");
        } else {
            words.push(word);
        }
    }
    words.dedup();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_that_differ_in_numbers_ids_and_quotes_have_one_fingerprint() {
        let one = "decoding at position 17 (event 00000000-0000-0000-0000-000000000007): bad date \"2026 or so\"";
        let two = "decoding at position 4711 (event 0cc175b9-0000-0000-0000-000000000009): bad date \"never\"";
        assert_eq!(cause_fingerprint("a.b", one), cause_fingerprint("a.b", two));
        assert_eq!(cause_fingerprint("a.b", one).len(), 8);
    }

    #[test]
    fn event_type_words_and_field_names_distinguish_causes() {
        let reason = "unknown variant `evaporated`";
        assert_ne!(cause_fingerprint("a.b", reason), cause_fingerprint("a.c", reason));
        assert_ne!(cause_fingerprint("a.b", reason), cause_fingerprint("a.b", "missing variant `evaporated`"));
        assert_ne!(cause_fingerprint("a.b", reason), cause_fingerprint("a.b", "unknown variant `condensed`"));
    }
}
