//! Prints generated sections with their sources.

use serde_json::Value;

use super::read_text_field;

/// Most sentences of a section that are printed.
const MAX_SENTENCES: usize = 4;

/// Prints sentences of a section, the first one of each source, and these sources.
pub(super) fn print_section(section: &Value) {
    let provider = section.pointer("/model/provider").and_then(Value::as_str).unwrap_or("no provider");
    println!("    {} (by {provider})", read_text_field(section, "heading"));
    if let Some(failure) = section.get("failure").and_then(Value::as_str) {
        println!("      not generated: {failure}");
    }
    let (mut cited, mut printed) = (vec![], 0);
    for sentence in list_elements(section, "sentences") {
        let numbers: Vec<_> = list_elements(sentence, "sources").iter().filter_map(Value::as_u64).collect();
        if printed >= MAX_SENTENCES || numbers.iter().all(|number| cited.contains(number)) {
            continue;
        }
        printed += 1;
        let marks = numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        println!(
            "      {} [{}]",
            read_text_field(sentence, "text"),
            if marks.is_empty() { "no source" } else { &marks }
        );
        cited.extend(numbers);
    }
    for source in list_elements(section, "sources") {
        let number = source.get("number").and_then(Value::as_u64).unwrap_or_default();
        if cited.contains(&number) {
            let page = source.get("page").and_then(Value::as_u64).map(|page| format!(", page {page}"));
            println!("      [{number}] {}{}", read_text_field(source, "title"), page.unwrap_or_default());
        }
    }
}

fn list_elements<'v>(value: &'v Value, field: &str) -> &'v [Value] {
    value.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
