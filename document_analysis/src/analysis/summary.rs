//! Chooses the sentences that say most about a document.

use std::collections::{BTreeMap, HashSet};

use super::quote;
use crate::{AnalysisBudget, AnalysisError, requirements::PagedSentence};

/// Number of sentences of a summary.
const SUMMARY_SENTENCES: usize = 6;
/// Maximum number of sentences that state the document's purpose.
const PURPOSE_SENTENCES: usize = 4;
/// Fewest and most words of a sentence that is quoted in a summary.
const QUOTED_WORDS: std::ops::RangeInclusive<usize> = 8..=60;
/// Longest text that sentences are chosen from, in sentences. Documents state their subject at the beginning.
pub(super) const MAX_SUMMARY_SENTENCES: usize = 5_000;
/// Most words of a sentence that are counted: one without end may have thousands.
const MAX_COUNTED_WORDS: usize = 200;
/// Words of fewer characters carry little meaning.
const MIN_WORD_CHARS: usize = 4;

/// Words that say nothing about a document's subject.
const STOP_WORDS: &[&str] = &[
    "this",
    "that",
    "these",
    "those",
    "with",
    "from",
    "will",
    "shall",
    "must",
    "should",
    "have",
    "been",
    "were",
    "their",
    "they",
    "them",
    "such",
    "other",
    "which",
    "when",
    "where",
    "under",
    "upon",
    "than",
    "then",
    "also",
    "each",
    "including",
    "include",
    "includes",
    "provided",
    "provide",
    "following",
    "government",
    "contractor",
    "offeror",
    "contract",
    "section",
];

/// Wordings of sentences that state a document's purpose.
const PURPOSE_WORDS: &[&str] = &[
    "purpose",
    "objective",
    "seeks",
    "seeking",
    "searching for",
    "intends to",
    "scope of",
    "is to provide",
    "services to be provided",
    "period of performance",
    "background",
    "will develop",
    "will build",
    "is looking for",
    "all aspects of",
    "this solicitation",
    "this request",
];

/// The most informative sentences, as quotations in the document's order: sentences with words that are frequent in it,
/// and sentences that state its purpose.
///
/// # Errors
/// [`AnalysisError`] when the budget ends.
pub(super) fn summarise(sentences: &[PagedSentence<'_>], budget: &AnalysisBudget) -> Result<String, AnalysisError> {
    let words: Vec<HashSet<String>> = sentences.iter().map(|sentence| content_words(sentence.text)).collect();
    let purposes: Vec<u32> = sentences.iter().map(|sentence| purpose_count(sentence.text)).collect();
    let purpose_of = |index: usize| purposes.get(index).copied().unwrap_or(0);
    let mut frequency: BTreeMap<&str, u32> = BTreeMap::new();
    for word in words.iter().flatten() {
        *frequency.entry(word).or_default() += 1;
    }
    let mut candidates: Vec<usize> = (0..sentences.len()).filter(|index| is_candidate(sentences, *index)).collect();
    // The same sentence again, as in a running title.
    let mut known = HashSet::new();
    candidates.retain(|index| sentences.get(*index).is_some_and(|sentence| known.insert(sentence.text)));
    let mut chosen: Vec<usize> = vec![];
    let mut covered: HashSet<&str> = HashSet::new();
    while chosen.len() < SUMMARY_SENTENCES {
        budget.check()?;
        let score = |index: usize| {
            let Some(words) = words.get(index) else { return 0 };
            let new_words = words.iter().filter(|word| !covered.contains(word.as_str()));
            let weight: u32 = new_words.map(|word| frequency.get(word.as_str()).copied().unwrap_or(0).min(50)).sum();
            let length = u32::try_from(words.len().max(6)).unwrap_or(u32::MAX);
            // Integers, so that the choice is the same on every machine.
            1_000 * weight / length * (2 + purpose_of(index)) * (if index < sentences.len() / 4 { 3 } else { 2 })
        };
        // First what says the document's purpose, then the others.
        let says_purpose = |index: &usize| purpose_of(*index) > 0;
        let wants_purpose = chosen.len() < PURPOSE_SENTENCES && candidates.iter().any(says_purpose);
        let eligible = candidates.iter().copied().filter(|index| !wants_purpose || says_purpose(index));
        let best = eligible.max_by_key(|index| (score(*index), std::cmp::Reverse(*index)));
        let Some(best) = best else { break };
        candidates.retain(|index| *index != best);
        covered.extend(words.get(best).into_iter().flatten().map(String::as_str));
        chosen.push(best);
    }
    chosen.sort_unstable();
    let quotations: Vec<_> = chosen.iter().filter_map(|index| sentences.get(*index)).copied().map(quote).collect();
    Ok(match (quotations.is_empty(), sentences.first()) {
        // A text of a few words is its own summary.
        (true, Some(first)) => quote(*first),
        (true, None) => String::new(),
        (false, _) => quotations.join("\n"),
    })
}

fn purpose_count(text: &str) -> u32 {
    let lower = text.to_lowercase();
    let found = PURPOSE_WORDS.iter().filter(|word| lower.contains(**word)).count().min(2);
    u32::try_from(found).unwrap_or(0)
}

fn is_candidate(sentences: &[PagedSentence<'_>], index: usize) -> bool {
    let Some(sentence) = sentences.get(index) else { return false };
    QUOTED_WORDS.contains(&sentence.text.split(' ').count())
        && sentence.text.ends_with(['.', '!', '"', '”'])
        && sentence.text.starts_with(char::is_uppercase)
        && !sentence.text.contains([':', '□', '|'])
        && !is_table_row(sentence.text)
        // Requirements are listed anyway.
        && (purpose_count(sentence.text) > 0
            || !sentence.text.split(' ').any(|word| matches!(word, "shall" | "must" | "should" | "may")))
}

/// Whether most words begin with a capital letter, as in rows and titles that have run into a sentence.
fn is_table_row(text: &str) -> bool {
    let capitalised = text.split(' ').filter(|word| word.starts_with(char::is_uppercase)).count();
    2 * capitalised > text.split(' ').count()
}

fn content_words(text: &str) -> HashSet<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
    let words = words.filter(|word| word.chars().count() >= MIN_WORD_CHARS && !STOP_WORDS.contains(&word.as_str()));
    words.take(MAX_COUNTED_WORDS).collect()
}
