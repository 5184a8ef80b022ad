//! Precision and recall against lists that were made by hand from real documents, before the extraction was written.
//!
//! A list has a few words of each sentence. A requirement is right if it contains the words of an entry; an entry is
//! found if a requirement contains its words. Entries marked `optional` count for neither.

use std::{collections::HashSet, fs, ops::RangeInclusive, path::Path};

use domain::document::RequirementKind;
use regex::Regex;

use super::{DocumentRequirement, extract};

/// The least precision and recall.
const LEAST_SCORE: f64 = 0.8;

struct ExpectedRequirement {
    kind: Option<RequirementKind>,
    words: String,
}

struct ExtractionScore {
    precision: f64,
    recall: f64,
    /// Share of the right requirements that have the kind of the list.
    same_kind: f64,
}

/// The words of a text, without punctuation and case.
fn normalise(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

fn read_list(list: &str) -> Vec<ExpectedRequirement> {
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    let entry = |line: &str| {
        let (kind, words) = line.split_once('\t').unwrap();
        ExpectedRequirement { kind: RequirementKind::parse(kind).ok(), words: normalise(words) }
    };
    lines.map(entry).collect()
}

/// The score of the requirements that `is_judged` selects; prints wrong and missing ones.
fn score(document: &str, found: &[DocumentRequirement], list: &[ExpectedRequirement]) -> ExtractionScore {
    let texts: Vec<_> = found.iter().map(|found| normalise(found.text.as_str())).collect();
    let contains =
        |text: &str, words: &str| format!(" {text} ").contains(&format!(" {words} ")) || text.contains(words);
    let (mut right, mut wrong, mut same_kind) = (0.0, 0.0, 0.0);
    for (found, text) in found.iter().zip(&texts) {
        let entries: Vec<_> = list.iter().filter(|entry| contains(text, &entry.words)).collect();
        if entries.is_empty() {
            wrong += 1.0;
            println!("{document} wrong: {} {}", found.kind, found.text.as_str());
        } else if entries.iter().any(|entry| entry.kind.is_some()) {
            right += 1.0;
            same_kind += f64::from(u8::from(entries.iter().any(|entry| entry.kind == Some(found.kind))));
        }
    }
    let required: Vec<_> = list.iter().filter(|entry| entry.kind.is_some()).collect();
    let missing: HashSet<_> = required
        .iter()
        .map(|entry| entry.words.as_str())
        .filter(|words| !texts.iter().any(|text| contains(text, words)))
        .collect();
    for words in &missing {
        println!("{document} missing: {words}");
    }
    let entries = f64::from(u32::try_from(required.len()).unwrap());
    let missing = f64::from(u32::try_from(missing.len()).unwrap());
    ExtractionScore {
        precision: right / (right + wrong),
        recall: 1.0 - missing / entries,
        same_kind: same_kind / right,
    }
}

/// The plain text of a document in Markdown.
fn strip_markdown(markdown: &str) -> String {
    let replace =
        |text: String, pattern: &str, with: &str| Regex::new(pattern).unwrap().replace_all(&text, with).into_owned();
    // Rows of tables in HTML become lines.
    let text = replace(markdown.to_owned(), r"(?s)<!--.*?-->", "");
    let text = replace(text, r"(?s)>\s*\n\s*<(/?(?:td|th|blockquote|p)\b)", "> <$1");
    let text = replace(text, r"</?(?:tr|table|tbody|thead)[^>]*>", "\n");
    let text = replace(text, r"<[^>@]*>", "");
    let text = replace(text, r"!?\[([^\]]*)\]\([^)]*\)", "$1");
    let text = replace(text, r"(?m)^\s*> ?", "");
    let text = replace(text, r"(?m)^\s*- > ?", "- ");
    let text = replace(text, r"(?m)^[\s|:-]*$", "");
    let text = replace(text, r"(?m)^\s*\|(.*)\|\s*$", "\n$1\n");
    let text = replace(text, r" *\| *", "  ");
    replace(text, r"\*\*|\\|(?:\b|^)\*|\*(?:\b|$)|_\b|\b_", "")
}

/// Reads lines of a real document; `None` where the documents are absent.
fn read_document(name: &str, lines: &[RangeInclusive<usize>]) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/documents").join(name);
    let Ok(text) = fs::read_to_string(&path) else {
        println!("skipped: {} is absent", path.display());
        return None;
    };
    let chosen = |number: usize| lines.is_empty() || lines.iter().any(|range| range.contains(&number));
    let text: Vec<_> = (1..).zip(text.lines()).filter(|(number, _)| chosen(*number)).map(|(_, line)| line).collect();
    Some(strip_markdown(&text.join("\n")))
}

fn check(name: &str, lines: &[RangeInclusive<usize>], list: &str) {
    let Some(text) = read_document(name, lines) else { return };
    let found = extract(&text);
    let ExtractionScore { precision, recall, same_kind } = score(name, &found, &read_list(list));
    println!("{name}: {} found, precision {precision:.3}, recall {recall:.3}, same kind {same_kind:.3}", found.len());
    assert!(precision >= LEAST_SCORE && recall >= LEAST_SCORE, "precision {precision:.3}, recall {recall:.3}");
    assert_quoted(&text, &found);
}

/// Every requirement is a quotation.
fn assert_quoted(text: &str, found: &[DocumentRequirement]) {
    let words: Vec<&str> = text.split_whitespace().collect();
    let document = words.join(" ");
    for found in found {
        assert!(document.contains(found.text.as_str()), "not in the document: {}", found.text.as_str());
    }
}

#[test]
fn requirements_of_a_draft_request_for_quotations_are_found() {
    check("tdrs-draft-rfq.truth.md", &[], include_str!("../../../tests/requirement_lists/tdrs-draft-rfq.txt"));
}

#[test]
fn requirements_of_a_final_request_for_quotations_are_found() {
    check("tdrs-final-rfq.truth.md", &[], include_str!("../../../tests/requirement_lists/tdrs-final-rfq.txt"));
}

/// Sections that were read after the rules were written; some corrections of the rules came from them.
#[test]
fn requirements_of_sections_that_were_unknown_before_are_found() {
    let list = include_str!("../../../tests/requirement_lists/aries-support-rfp-unseen.txt");
    check("aries-support-rfp.md", &[1616..=2065], list);
}

/// Nothing was changed because of these sections: 1, 3.14 to 3.18, 4 and 5.
#[test]
fn requirements_of_a_state_s_request_for_proposals_are_found() {
    let list = include_str!("../../../tests/requirement_lists/aries-support-rfp.txt");
    check("aries-support-rfp.md", &[224..=535, 1222..=1615], list);
}

/// Lists without verbs, which the rules for lists were derived from: sections 3.01 to 3.05.
#[test]
fn requirements_of_a_scope_of_work_in_lists_are_found() {
    let list = include_str!("../../../tests/requirement_lists/aries-support-rfp-scope.txt");
    check("aries-support-rfp.md", &[587..=919], list);
}

/// A table of deliverables, which no rule was corrected by: sections 3.06 to 3.13.
#[test]
fn requirements_of_a_table_of_deliverables_are_found() {
    let list = include_str!("../../../tests/requirement_lists/aries-support-rfp-deliverables.txt");
    check("aries-support-rfp.md", &[920..=1221], list);
}
