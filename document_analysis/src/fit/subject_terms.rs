//! The terms that a document is about: its frequent words, without those that every request has.

use std::collections::{HashMap, HashSet};

use crate::{AnalysisBudget, AnalysisError, PagedText};

/// Number of terms.
const MAX_TERMS: usize = 20;

/// How often a word has to be in a document to be a term.
const MIN_COUNT: u32 = 2;

/// Fewest characters of a term.
const MIN_TERM_CHARS: usize = 5;

/// Most different words that are counted.
const MAX_WORDS: usize = 50_000;

/// Words that every request for offers has, which say nothing about its subject.
const GENERAL_WORDS: &str = "about above acceptance accordance additional after agency agreement alaska amendment another \
    applicable appendix approval approved attachment available award awarded based basis before being below between business \
    calendar clause clauses comply complete completed conditions consider considered contact contract contracting contractor \
    contractors contracts contractual costs could dated delivery department describe described description determined \
    documentation document documents during effective either email ensure evaluate evaluated evaluation every exceed \
    executed existing experience factor factors failure federal final first following format forth furnish general given \
    government include included includes including individual information instructions interested issue issued items later \
    least letter limited located manner materials meeting method minimum month months multiple necessary needed negotiations \
    notice number obligations offer offered offeror offerors offers office officer option order other otherwise outside page \
    pages party percent perform performance performed period person place please points possible prior process procurement \
    product program project proposal proposals propose proposed protest provide provided provides providing provision \
    provisions public purchase purpose quality question questions quote quotes reasonable receipt receive received reference \
    regarding related report reports representative request requests required requirement requirements requires resources \
    response responses responsible resulting review rights schedule section sections select selected service services shall \
    should signed similar small solicitation specific specified staff standard standards state states statement submission \
    submit submitted support system systems table technical terms their these third those three through total under united \
    until using value vendor vendors version where whether which while within without working would written years";

/// The frequent words of a text, the most frequent first.
///
/// # Errors
/// [`AnalysisError`] when the budget ends.
pub(super) fn find_terms(text: &PagedText, budget: &AnalysisBudget) -> Result<Vec<String>, AnalysisError> {
    let general: HashSet<&str> = GENERAL_WORDS.split_whitespace().collect();
    let mut counts: HashMap<String, u32> = HashMap::new();
    for page in text.pages() {
        for line in page.lines() {
            budget.check()?;
            for word in split_words(line).filter(|word| word.chars().count() >= MIN_TERM_CHARS) {
                let word = stem(&word.to_lowercase());
                if !general.contains(word.as_str()) && (counts.len() < MAX_WORDS || counts.contains_key(&word)) {
                    *counts.entry(word).or_default() += 1;
                }
            }
        }
    }
    let is_general = |word: &str| general.iter().any(|known| stem(known) == word);
    let mut terms: Vec<_> = counts.into_iter().filter(|(_, count)| *count >= MIN_COUNT).collect();
    // Words that are equally frequent come in the order of the alphabet, so that the same text has the same terms.
    terms.sort_unstable_by(|(one, many), (other, more)| more.cmp(many).then_with(|| one.cmp(other)));
    Ok(terms.into_iter().map(|(word, _)| word).filter(|word| !is_general(word)).take(MAX_TERMS).collect())
}

/// The words of texts in the form of terms.
pub(super) fn collect_words<'a>(texts: impl Iterator<Item = &'a str>) -> HashSet<String> {
    texts.flat_map(split_words).map(|word| stem(&word.to_lowercase())).collect()
}

fn split_words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty())
}

/// A word without the ending of the plural.
fn stem(word: &str) -> String {
    let is_plural = word.len() >= MIN_TERM_CHARS && word.ends_with('s') && !word.ends_with("ss");
    if is_plural { word.strip_suffix('s').unwrap_or(word).to_owned() } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_frequent_words_of_the_subject() {
        let text = "The contractor shall maintain infusion pumps. An infusion pump is tested. Ventilators and \
                    ventilator parts; infusion. Once: gloves.";
        let terms = find_terms(&PagedText::from_plain_text(text), &AnalysisBudget::for_tests()).unwrap();
        assert_eq!(terms, ["infusion", "ventilator"]);
        assert!(collect_words(["We repair Ventilators."].into_iter()).contains("ventilator"));
    }
}
