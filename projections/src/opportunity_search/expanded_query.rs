//! What a query asks the store for: its own words, and those that could have been said instead.
//!
//! ```text
//! query ─▶ terms ─▶ spelling ─▶ synonyms ─▶ codes ─▶ weighted terms (sparse vector)
//!                      └────────────┴──────────────▶ weighted texts (dense vector)
//! ```
//! What is added weighs little where many titles have the query's own words, and more where few or none have them. The
//! weights were chosen on real notices (ADR 28).

use std::collections::BTreeMap;

use super::{
    terms::{has_digit, is_identifier, split_terms, term_dimension},
    vocabulary::{CodeIndex, SynonymTable, TitleWords},
};

/// What a corrected word weighs.
const CORRECTION_WEIGHT: f32 = 0.8;
/// What the word as it was written weighs beside its correction, where texts have it.
const MISSPELLED_WEIGHT: f32 = 0.6;
/// What a synonym weighs where all titles have what was said, and where none has.
const SYNONYM_WEIGHTS: (f32, f32) = (0.1, 0.5);
/// The same for a code that the words lead to.
const CODE_WEIGHTS: (f32, f32) = (0.09, 0.3);
/// With so many titles, what is added weighs half way between.
const HALF_WEIGHT_TITLES: f32 = 10.0;

/// A query as the store is asked.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ExpandedQuery {
    /// Texts whose meanings, so weighted, make up what is meant.
    pub(super) weighted_texts: Vec<(String, f32)>,
    /// Dimension -> weight.
    pub(super) terms: BTreeMap<u32, f32>,
    /// Whether one of its terms is an identifier, so that being there matters more than meaning.
    pub(super) has_identifier: bool,
}

/// A word of a query that is spelled like a more common one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SpellingCorrection {
    /// Its place among the query's terms.
    pub(super) term_index: usize,
    /// The word that was meant.
    pub(super) replacement: String,
    /// Whether any text has it as it was written.
    pub(super) is_found: bool,
}

/// The terms of a query, in order.
pub(super) fn collect_terms(query: &str) -> Vec<String> {
    split_terms(query).collect()
}

/// Whether a word may be spelled wrongly: tables of words and codes are spelled right.
pub(super) fn may_be_misspelled(term: &str) -> bool {
    !has_digit(term) && !SynonymTable::shared().contains(term) && !CodeIndex::shared().contains(term)
}

impl ExpandedQuery {
    /// A query as it was written, and nothing else.
    pub(super) fn from_text(query: &str) -> Self {
        let terms = collect_terms(query);
        Self {
            weighted_texts: vec![(query.to_owned(), 1.0)],
            terms: terms.iter().map(|term| (term_dimension(term), 1.0)).collect(),
            has_identifier: terms.iter().any(|term| is_identifier(term)),
        }
    }

    /// A query with what it means beyond its words.
    pub(super) fn expand(query: &str, corrections: &[SpellingCorrection], titles: &TitleWords) -> Self {
        let mut terms = collect_terms(query);
        let has_identifier = terms.iter().any(|term| is_identifier(term));
        let mut weights: BTreeMap<String, f32> = terms.iter().map(|term| (term.clone(), 1.0)).collect();
        let mut text = query.to_lowercase();
        for SpellingCorrection { term_index: place, replacement: meant, is_found } in corrections {
            let Some(written) = terms.get_mut(*place) else { continue };
            text = text.replace(&**written, meant);
            if *is_found {
                weights.insert(written.clone(), MISSPELLED_WEIGHT);
            } else {
                weights.remove(written);
            }
            weights.entry(meant.clone()).or_insert(CORRECTION_WEIGHT);
            meant.clone_into(written);
        }
        let mut meanings = vec![(text, 1.0)];
        add_synonyms(&terms, titles, &mut weights, &mut meanings);
        let rarest = terms.iter().map(|term| titles.title_count(term)).min().unwrap_or_default();
        let codes = CodeIndex::shared().find_codes(&weights);
        let codes: Vec<_> = codes
            .into_iter()
            .map(|(code, likeness)| (term_dimension(code), likeness.powi(2) * interpolate_weight(CODE_WEIGHTS, rarest)))
            .collect();
        let mut terms: BTreeMap<u32, f32> =
            weights.iter().map(|(term, weight)| (term_dimension(term), *weight)).collect();
        terms.extend(codes);
        Self { weighted_texts: meanings, terms, has_identifier }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a query has some words, a group some phrases")]
fn add_synonyms(
    terms: &[String],
    titles: &TitleWords,
    weights: &mut BTreeMap<String, f32>,
    meanings: &mut Vec<(String, f32)>,
) {
    let synonyms = SynonymTable::shared().find_synonyms(terms);
    let said = weights.clone();
    for synonym in &synonyms {
        let rarest = synonym.phrase.iter().map(|term| titles.title_count(term)).min().unwrap_or_default();
        let weight = interpolate_weight(SYNONYM_WEIGHTS, rarest);
        // The words of a phrase share its weight, so that a long one does not outweigh what was said.
        let share = weight / synonym.alternative.len() as f32;
        for term in synonym.alternative.iter().filter(|term| !said.contains_key(*term)) {
            let known = weights.entry(term.clone()).or_default();
            *known = known.max(share);
        }
        meanings.push((synonym.alternative.join(" "), weight / synonyms.len() as f32));
    }
}

/// A weight between that of words which all titles have and that of words which none has.
fn interpolate_weight((common, absent): (f32, f32), titles: u32) -> f32 {
    let titles = f32::from(u16::try_from(titles).unwrap_or(u16::MAX));
    common + (absent - common) / (1.0 + titles / HALF_WEIGHT_TITLES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(title: &str, times: usize) -> TitleWords {
        let mut words = TitleWords::default();
        (0..times).for_each(|_| words.add_title(title));
        words.into_indexed()
    }

    fn weight(question: &ExpandedQuery, term: &str) -> f32 {
        question.terms.get(&term_dimension(term)).copied().unwrap_or_default()
    }

    #[test]
    fn what_is_added_weighs_less_the_more_titles_have_the_words() {
        let ask = |times| ExpandedQuery::expand("ultrasound machine", &[], &titles("Ultrasound", times));
        let (absent, common) = (ask(0), ask(100));
        assert!((weight(&absent, "ultrasound") - 1.0).abs() < f32::EPSILON);
        assert!((weight(&absent, "sonogram") - 0.5).abs() < 1e-6 && weight(&common, "sonogram") < 0.2);
        assert!(absent.weighted_texts.len() > 1 && !absent.has_identifier);
    }

    #[test]
    fn words_lead_to_codes() {
        let question = ExpandedQuery::expand("artificial limbs", &[], &TitleWords::default());
        assert!(weight(&question, "naics=339113") > 0.2);
    }

    #[test]
    fn a_correction_replaces_a_word_that_no_text_has() {
        let correction =
            |is_found| [SpellingCorrection { term_index: 0, replacement: "ophthalmic".to_owned(), is_found }];
        let absent = ExpandedQuery::expand("Opthalmic microscope", &correction(false), &TitleWords::default());
        assert_eq!((weight(&absent, "opthalmic"), weight(&absent, "ophthalmic")), (0.0, CORRECTION_WEIGHT));
        assert_eq!(absent.weighted_texts[0].0, "ophthalmic microscope");
        let found = ExpandedQuery::expand("Opthalmic microscope", &correction(true), &TitleWords::default());
        assert_eq!((weight(&found, "opthalmic"), weight(&found, "ophthalmic")), (MISSPELLED_WEIGHT, CORRECTION_WEIGHT));
    }

    #[test]
    fn what_stands_in_a_table_is_spelled_right() {
        assert!(!may_be_misspelled("cpap") && !may_be_misspelled("hemodialysi") && !may_be_misspelled("6515"));
        assert!(may_be_misspelled("opthalmic"));
    }

    #[test]
    fn a_plain_question_has_its_own_words_only() {
        let question = ExpandedQuery::from_text("MRI 5340-01-234-5678");
        assert_eq!(question.weighted_texts, [("MRI 5340-01-234-5678".to_owned(), 1.0)]);
        assert!(question.has_identifier && question.terms.len() == 6);
    }
}
