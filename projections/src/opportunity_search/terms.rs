//! The words and numbers of a text as a sparse vector, so that a part number is found by exact match.
//!
//! A term is a word in lower case without its plural ending, or an identifier without its separators:
//! `SPE4A7-26-R-0012` is found in this form, as `SPE4A726R0012`, and by its longer parts. The dimension of a term is
//! the CRC-32 of its text, so that no dictionary is needed.
//!
//! Codes are terms, too (see `notice_codes`); they contain a `=`, which no word does.
//!
//! Weights are those of BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009)
//! without the inverse document frequency, by which `Qdrant` multiplies them at query time, from the points that it has
//! then. The mean length of a text is a constant, because a weight must depend on the text alone.

use std::collections::{BTreeMap, BTreeSet};

use super::notice_codes::code_terms;

/// BM25's `k1`: with a smaller value, repetitions of a term count less.
const SATURATION: f32 = 1.2;
/// BM25's `b`: with a larger value, terms of long texts count less.
const LENGTH_PENALTY: f32 = 0.5;
/// Mean number of terms of a notice, over the notices of March 2026.
const MEAN_LENGTH: f32 = 90.0;

/// Number of occurrences that one occurrence in a title counts as.
const TITLE_TIMES: u16 = 3;
/// Characters of a description that are used.
const DESCRIPTION_CHARS: usize = 4_000;
/// Number of occurrences that a code counts as.
const CODE_TIMES: u16 = 2;
/// Length of the shortest identifier that is a term as a whole, besides its parts.
const IDENTIFIER_CHARS: usize = 5;

/// Words that are no terms, because they say nothing about the subject of a text.
const STOP_WORDS: &[&str] = &[
    "about", "all", "an", "and", "any", "are", "as", "at", "be", "been", "by", "can", "for", "from", "has", "have",
    "if", "in", "into", "is", "it", "its", "may", "must", "no", "not", "of", "on", "or", "shall", "such", "that",
    "the", "their", "them", "this", "to", "was", "we", "were", "which", "will", "with", "you", "your",
];

/// How often each term occurs in a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TermCounts {
    counts: BTreeMap<u32, u16>,
    length: u16,
}

impl TermCounts {
    /// The terms of a notice; `number` is its solicitation number.
    pub(super) fn from_notice(
        title: &str,
        number: &str,
        psc: Option<&str>,
        naics: Option<&str>,
        description: Option<&str>,
    ) -> Self {
        let mut terms = Self::default();
        terms.add_text(title, TITLE_TIMES);
        terms.add_text(number, 1);
        terms.add_text(psc.unwrap_or_default(), 1);
        let description = description.unwrap_or_default();
        let end = description.char_indices().nth(DESCRIPTION_CHARS).map_or(description.len(), |(end, _)| end);
        terms.add_text(&description[..end], 1);
        for code in code_terms(title, psc, naics, &description[..end]) {
            terms.counts.insert(term_dimension(&code), CODE_TIMES);
        }
        terms
    }

    /// The terms of a text with a heading.
    pub(super) fn from_text(heading: &str, text: &str) -> Self {
        let mut terms = Self::default();
        terms.add_text(heading, TITLE_TIMES);
        terms.add_text(text, 1);
        terms
    }

    fn add_text(&mut self, text: &str, times: u16) {
        for term in split_terms(text) {
            let count = self.counts.entry(term_dimension(&term)).or_default();
            *count = count.saturating_add(times);
            self.length = self.length.saturating_add(1);
        }
    }

    /// The dimensions of the terms, in ascending order.
    pub(super) fn to_dimensions(&self) -> Vec<u32> {
        self.counts.keys().copied().collect()
    }

    /// The weight of a term that a title of a text of mean length has once.
    pub(super) fn title_weight() -> f32 {
        term_weight(TITLE_TIMES, 1.0)
    }

    /// The sparse vector of the text: dimensions and values.
    pub(super) fn to_weights(&self) -> (Vec<u32>, Vec<f32>) {
        self.weights().unzip()
    }

    /// The sparse vector of the text: value by dimension, in ascending order.
    pub(super) fn to_pairs(&self) -> Vec<(u32, f32)> {
        self.weights().collect()
    }

    fn weights(&self) -> impl Iterator<Item = (u32, f32)> {
        let penalty = 1.0 - LENGTH_PENALTY + LENGTH_PENALTY * f32::from(self.length) / MEAN_LENGTH;
        self.counts.iter().map(move |(dimension, count)| (*dimension, term_weight(*count, penalty)))
    }
}

/// The weight of a term that occurs so often in a text of this length penalty.
fn term_weight(count: u16, penalty: f32) -> f32 {
    let count = f32::from(count);
    count * (SATURATION + 1.0) / (count + SATURATION * penalty)
}

/// The terms of a query, for choosing the passage that has most of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct QueryTerms {
    /// Their dimensions, each once, in ascending order.
    dimensions: Vec<u32>,
}

impl QueryTerms {
    pub(super) fn from_query(query: &str) -> Self {
        let terms: Vec<String> = split_terms(query).collect();
        let mut dimensions: Vec<u32> = terms.iter().map(|term| term_dimension(term)).collect();
        dimensions.sort_unstable();
        dimensions.dedup();
        Self { dimensions }
    }

    /// The number of these terms that a text has.
    pub(super) fn count_in(&self, text: &str) -> usize {
        let found = split_terms(text)
            .map(|term| term_dimension(&term))
            .filter(|term| self.dimensions.binary_search(term).is_ok());
        found.collect::<BTreeSet<_>>().len()
    }
}

/// The dimension of a term.
pub(super) fn term_dimension(term: &str) -> u32 {
    crc32fast::hash(term.as_bytes())
}

/// Whether a term is an identifier, for which an exact match counts more than similarity of meaning.
pub(super) fn is_identifier(term: &str) -> bool {
    term.len() >= IDENTIFIER_CHARS && has_digit(term)
}

/// Whether a text has a digit.
pub(super) fn has_digit(text: &str) -> bool {
    text.chars().any(|c| c.is_ascii_digit())
}

/// The terms of a text, in order.
pub(super) fn split_terms(text: &str) -> impl Iterator<Item = String> {
    let is_joiner = |c: char| matches!(c, '-' | '.' | '/' | '_');
    let chunks = text.split_whitespace().filter(|chunk| !chunk.contains("://")).flat_map(|chunk| chunk.split("--"));
    chunks.flat_map(move |chunk| chunk.split(move |c: char| !c.is_alphanumeric() && !is_joiner(c))).flat_map(
        move |piece| {
            let piece = piece.to_lowercase();
            let parts: Vec<&str> = piece.split(is_joiner).filter(|part| !part.is_empty()).collect();
            let whole = parts.concat();
            let whole = (parts.len() > 1 && is_identifier(&whole)).then_some(whole);
            parts.into_iter().filter_map(normalize_word).chain(whole).collect::<Vec<_>>()
        },
    )
}

/// The normal form of a word or of a part of an identifier; `None` for stop words and single characters.
fn normalize_word(part: &str) -> Option<String> {
    if part.chars().nth(1).is_none() || STOP_WORDS.binary_search(&part).is_ok() {
        return None;
    }
    let plural = !has_digit(part) && part.len() > 3 && part.ends_with('s') && !part.ends_with("ss");
    Some(if plural { part[..part.len() - 1].to_owned() } else { part.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str) -> Vec<String> {
        split_terms(text).collect()
    }

    #[test]
    fn plural_endings_and_stop_words_are_removed() {
        assert_eq!(terms("Wheelchairs, and patient LIFTS at (the) glass"), ["wheelchair", "patient", "lift", "glass"]);
        assert!(STOP_WORDS.is_sorted());
    }

    #[test]
    fn an_identifier_is_the_same_with_and_without_separators() {
        assert_eq!(terms("SPE4A7-26-R-0012"), ["spe4a7", "26", "0012", "spe4a726r0012"]);
        assert_eq!(terms("SPE4A726R0012"), ["spe4a726r0012"]);
        assert_eq!(terms("(NSN:5340-01-234-5678),"), ["nsn", "5340", "01", "234", "5678", "5340012345678"]);
        assert!(is_identifier("5340012345678") && !is_identifier("6515") && !is_identifier("bolts"));
    }

    #[test]
    fn a_product_code_and_a_link_are_not_part_of_an_identifier() {
        assert_eq!(terms("53--BOLT,MACHINE https://sam.gov/opp/1"), ["53", "bolt", "machine"]);
    }

    #[test]
    fn the_dimension_of_a_term_never_changes() {
        assert_eq!(term_dimension("wheelchair"), 0x4d36_640f);
    }

    #[test]
    fn a_term_weighs_more_in_the_title_and_each_repetition_adds_less() {
        let weight = |title: &str, description: &str| {
            let terms = TermCounts::from_notice(title, "", None, None, Some(description));
            let (dimensions, values) = terms.to_weights();
            let index = dimensions.iter().position(|dimension| *dimension == term_dimension("valve")).unwrap();
            values[index]
        };
        let (once, twice, often) = (weight("", "valve"), weight("", "valve valve"), weight("", &"valve ".repeat(60)));
        assert!(weight("valve", "") > once && twice > once && twice < 2.0 * once && often < 1.0 + SATURATION);
        assert!(weight("", &format!("valve {}", "pump ".repeat(200))) < once);
    }
}
