//! Prints generated sections with their sources.

use serde_json::Value;

use super::text_of;

/// Most sentences of a section that are printed.
const MAX_SENTENCES: usize = 4;

/// Prints sentences of a section, the first one of each source, and these sources.
pub(super) fn print_section(section: &Value) {
    let provider = section.pointer("/model/provider").and_then(Value::as_str).unwrap_or("no provider");
    println!("    {} (by {provider})", text_of(section, "heading"));
    if let Some(failure) = section.get("failure").and_then(Value::as_str) {
        println!("      not generated: {failure}");
    }
    let (mut cited, mut printed) = (vec![], 0);
    for sentence in elements_of(section, "sentences") {
        let numbers: Vec<_> = elements_of(sentence, "sources").iter().filter_map(Value::as_u64).collect();
        if printed >= MAX_SENTENCES || numbers.iter().all(|number| cited.contains(number)) {
            continue;
        }
        printed += 1;
        let marks = numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        println!("      {} [{}]", text_of(sentence, "text"), if marks.is_empty() { "no source" } else { &marks });
        cited.extend(numbers);
    }
    for source in elements_of(section, "sources") {
        let number = source.get("number").and_then(Value::as_u64).unwrap_or_default();
        if cited.contains(&number) {
            let page = source.get("page").and_then(Value::as_u64).map(|page| format!(", page {page}"));
            println!("      [{number}] {}{}", text_of(source, "title"), page.unwrap_or_default());
        }
    }
}

fn elements_of<'v>(value: &'v Value, field: &str) -> &'v [Value] {
    value.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
