//! Expands a query by corrections, synonyms and codes, for the request to `Qdrant`.
//!
//! ```text
//! query ─▶ terms ─▶ spelling ─▶ synonyms ─▶ codes ─▶ weighted terms (sparse vector)
//!                      └────────────┴──────────────▶ weighted texts (dense vector)
//! ```
//! Added terms have small weights if many titles have the words of the query, and larger ones if few or none have them.
//! The weights were chosen on real notices (ADR 28).

use std::collections::BTreeMap;

use super::{
    terms::{has_digit, is_identifier, split_terms, term_dimension},
    vocabulary::{CodeIndex, SynonymTable, TitleWords},
};

/// Weight of a corrected word.
const CORRECTION_WEIGHT: f32 = 0.8;
/// Weight of the original word besides its correction, if any text has it.
const MISSPELLED_WEIGHT: f32 = 0.6;
/// Weights of a synonym: if all titles have the words of the query, and if none has them.
const SYNONYM_WEIGHTS: (f32, f32) = (0.1, 0.5);
/// The same for a code that the words match.
const CODE_WEIGHTS: (f32, f32) = (0.09, 0.3);
/// Number of titles for which the weight is halfway between the two.
const HALF_WEIGHT_TITLES: f32 = 10.0;

/// An expanded query, as sent to `Qdrant`.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ExpandedQuery {
    /// Texts with their weights; the weighted sum of their vectors is the dense vector of the query.
    pub(super) weighted_texts: Vec<(String, f32)>,
    /// The sparse vector: weight by dimension.
    pub(super) terms: BTreeMap<u32, f32>,
    /// Whether a term is an identifier; then an exact match counts more than similarity of meaning.
    pub(super) has_identifier: bool,
}

/// The correction of a query word that resembles a more common word.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SpellingCorrection {
    /// Index of the word among the query's terms.
    pub(super) term_index: usize,
    /// The corrected word.
    pub(super) replacement: String,
    /// Whether any text has the original word.
    pub(super) is_found: bool,
}

/// The terms of a query, in order.
pub(super) fn collect_terms(query: &str) -> Vec<String> {
    split_terms(query).collect()
}

/// Whether a word may be misspelled; words in the tables of synonyms and codes are not.
pub(super) fn may_be_misspelled(term: &str) -> bool {
    !has_digit(term) && !SynonymTable::shared().contains(term) && !CodeIndex::shared().contains(term)
}

impl ExpandedQuery {
    /// A query with its own words only.
    pub(super) fn from_text(query: &str) -> Self {
        let terms = collect_terms(query);
        Self {
            weighted_texts: vec![(query.to_owned(), 1.0)],
            terms: terms.iter().map(|term| (term_dimension(term), 1.0)).collect(),
            has_identifier: terms.iter().any(|term| is_identifier(term)),
        }
    }

    /// A query with corrections, synonyms and codes.
    pub(super) fn expand(query: &str, corrections: &[SpellingCorrection], titles: &TitleWords) -> Self {
        let mut terms = collect_terms(query);
        let has_identifier = terms.iter().any(|term| is_identifier(term));
        let mut weights: BTreeMap<String, f32> = terms.iter().map(|term| (term.clone(), 1.0)).collect();
        let mut text = query.to_lowercase();
        for SpellingCorrection { term_index, replacement, is_found } in corrections {
            let Some(term) = terms.get_mut(*term_index) else { continue };
            text = text.replace(&**term, replacement);
            if *is_found {
                weights.insert(term.clone(), MISSPELLED_WEIGHT);
            } else {
                weights.remove(term);
            }
            weights.entry(replacement.clone()).or_insert(CORRECTION_WEIGHT);
            replacement.clone_into(term);
        }
        let mut weighted_texts = vec![(text, 1.0)];
        add_synonyms(&terms, titles, &mut weights, &mut weighted_texts);
        let fewest_titles = terms.iter().map(|term| titles.title_count(term)).min().unwrap_or_default();
        let codes = CodeIndex::shared().find_codes(&weights);
        let codes: Vec<_> = codes
            .into_iter()
            .map(|(code, similarity)| {
                (term_dimension(code), similarity.powi(2) * interpolate_weight(CODE_WEIGHTS, fewest_titles))
            })
            .collect();
        let mut terms: BTreeMap<u32, f32> =
            weights.iter().map(|(term, weight)| (term_dimension(term), *weight)).collect();
        terms.extend(codes);
        Self { weighted_texts, terms, has_identifier }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a query has some words, a group some phrases")]
fn add_synonyms(
    terms: &[String],
    titles: &TitleWords,
    weights: &mut BTreeMap<String, f32>,
    weighted_texts: &mut Vec<(String, f32)>,
) {
    let synonyms = SynonymTable::shared().find_synonyms(terms);
    let query_weights = weights.clone();
    for synonym in &synonyms {
        let fewest_titles = synonym.phrase.iter().map(|term| titles.title_count(term)).min().unwrap_or_default();
        let weight = interpolate_weight(SYNONYM_WEIGHTS, fewest_titles);
        // The words of a phrase share its weight, so that a long phrase does not outweigh the query's own words.
        let share = weight / synonym.alternative.len() as f32;
        for term in synonym.alternative.iter().filter(|term| !query_weights.contains_key(*term)) {
            let entry = weights.entry(term.clone()).or_default();
            *entry = entry.max(share);
        }
        weighted_texts.push((synonym.alternative.join(" "), weight / synonyms.len() as f32));
    }
}

/// Interpolates between the weight for words that all titles have and that for words that none has.
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

    fn weight(query: &ExpandedQuery, term: &str) -> f32 {
        query.terms.get(&term_dimension(term)).copied().unwrap_or_default()
    }

    #[test]
    fn added_terms_weigh_less_the_more_titles_have_the_words_of_the_query() {
        let expand = |times| ExpandedQuery::expand("ultrasound machine", &[], &titles("Ultrasound", times));
        let (absent, common) = (expand(0), expand(100));
        assert!((weight(&absent, "ultrasound") - 1.0).abs() < f32::EPSILON);
        assert!((weight(&absent, "sonogram") - 0.5).abs() < 1e-6 && weight(&common, "sonogram") < 0.2);
        assert!(absent.weighted_texts.len() > 1 && !absent.has_identifier);
    }

    #[test]
    fn words_are_expanded_to_codes() {
        let query = ExpandedQuery::expand("artificial limbs", &[], &TitleWords::default());
        assert!(weight(&query, "naics=339113") > 0.2);
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
    fn a_word_in_a_table_is_not_misspelled() {
        assert!(!may_be_misspelled("cpap") && !may_be_misspelled("hemodialysi") && !may_be_misspelled("6515"));
        assert!(may_be_misspelled("opthalmic"));
    }

    #[test]
    fn a_query_from_text_has_only_its_own_words() {
        let query = ExpandedQuery::from_text("MRI 5340-01-234-5678");
        assert_eq!(query.weighted_texts, [("MRI 5340-01-234-5678".to_owned(), 1.0)]);
        assert!(query.has_identifier && query.terms.len() == 6);
    }
}
