//! Words of a text: those that an opportunity is found by, and those that are searched for.
//!
//! A word is a run of letters and digits, in lower case. A searched word of three characters or more also matches longer
//! words that begin with it.

use std::collections::BTreeMap;

/// Words of a search text beyond this number are ignored.
const MAX_SEARCHED_WORDS: usize = 20;

/// Distinct words of an opportunity beyond this number are not searchable.
const MAX_WORDS: usize = 4_000;

/// Characters of a word beyond this number are ignored.
const MAX_WORD_CHARS: usize = 60;

/// A searched word with fewer characters matches only itself: it would begin too many others.
const MIN_PREFIX_CHARS: usize = 3;

/// Postgres counts positions up to this one.
const MAX_POSITION: u16 = 16_383;

/// Splits a text into words.
fn split_words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).map(normalize_word).filter(|word| !word.is_empty())
}

fn normalize_word(word: &str) -> String {
    if word.is_ascii() {
        return word.get(..MAX_WORD_CHARS).unwrap_or(word).to_ascii_lowercase();
    }
    let word: String = word.chars().flat_map(char::to_lowercase).take(MAX_WORD_CHARS).collect();
    // Lower case of a few letters has marks that are no letters.
    word.replace(|c: char| !c.is_alphanumeric(), "")
}

/// Where a word occurs first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TermPosition {
    /// From 1; beyond the greatest position that the server counts, that one.
    pub(super) position: u16,
    /// Whether the word is in the title or the number; it has weight A then, else D.
    pub(super) is_title: bool,
}

/// The words that an opportunity is found by, in the order of their bytes.
pub(super) fn collect_terms(
    title: &str,
    number: Option<&str>,
    description: Option<&str>,
) -> BTreeMap<String, TermPosition> {
    let title_words = split_words(title).chain(split_words(number.unwrap_or_default())).map(|word| (word, true));
    let all = title_words.chain(split_words(description.unwrap_or_default()).map(|word| (word, false)));
    let mut terms = BTreeMap::new();
    for (position, (word, is_title)) in (1..=MAX_POSITION).chain(std::iter::repeat(MAX_POSITION)).zip(all) {
        if terms.len() >= MAX_WORDS {
            break;
        }
        terms.entry(word).or_insert(TermPosition { position, is_title });
    }
    terms
}

/// A `tsvector` in the form that the server returns: the words of title and number, with weight A, and the words of the
/// description. Each word has the position of its first occurrence.
pub(super) fn format_terms(title: &str, number: Option<&str>, description: Option<&str>) -> String {
    let terms = collect_terms(title, number, description);
    let format_term = |(word, TermPosition { position, is_title }): (&String, &TermPosition)| {
        format!("'{word}':{position}{}", if *is_title { "A" } else { "" })
    };
    terms.iter().map(format_term).collect::<Vec<_>>().join(" ")
}

/// The text form of the `tsquery` for all words of a search text; `None` if it has no word.
///
/// With `in_title`, all of them must be in the title or the number.
pub(super) fn format_query(text: &str, in_title: bool) -> Option<String> {
    let weight = if in_title { "A" } else { "" };
    let words: Vec<_> = split_words(text)
        .take(MAX_SEARCHED_WORDS)
        .map(|word| {
            let prefix = if word.chars().count() >= MIN_PREFIX_CHARS { "*" } else { "" };
            let colon = if prefix.is_empty() && weight.is_empty() { "" } else { ":" };
            format!("'{word}'{colon}{prefix}{weight}")
        })
        .collect();
    (!words.is_empty()).then(|| words.join(" & "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_letters_and_digits_in_lower_case() {
        assert_eq!(
            split_words("Lifts, (SPE4A5-26-T) Ärzte's").collect::<Vec<_>>(),
            ["lifts", "spe4a5", "26", "t", "ärzte", "s"]
        );
        assert_eq!(split_words("İ'\\:*&|!").collect::<Vec<_>>(), ["i"]);
    }

    #[test]
    fn words_of_title_and_number_have_weight_a() {
        assert_eq!(format_terms("Lifts", Some("36C"), Some("the lifts")), "'36c':2A 'lifts':1A 'the':3");
    }

    #[test]
    fn a_word_of_three_characters_matches_as_a_prefix() {
        assert_eq!(format_query("Lift of", false).as_deref(), Some("'lift':* & 'of'"));
        assert_eq!(format_query("Lift of", true).as_deref(), Some("'lift':*A & 'of':A"));
        assert_eq!(format_query(" -- ", false), None);
    }

    #[test]
    fn the_number_and_length_of_words_are_bounded() {
        let many = (0..MAX_WORDS + 100).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
        assert_eq!(format_terms(&many, None, None).matches(':').count(), MAX_WORDS);
        assert_eq!(split_words(&"x".repeat(1_000)).next().map(|word| word.len()), Some(MAX_WORD_CHARS));
        assert_eq!(format_query(&many, false).unwrap().matches('&').count(), MAX_SEARCHED_WORDS - 1);
    }
}
