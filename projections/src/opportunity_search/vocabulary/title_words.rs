//! The number of titles with each word, and spelling corrections by frequent words.

use std::collections::HashMap;

use crate::opportunity_search::terms::{has_digit, split_terms};

/// Length of the shortest word that is corrected: shorter ones differ by one letter from too many others.
const MIN_WORD_LETTERS: usize = 5;
/// Length of the shortest word in which two letters may be wrong.
const LONG_WORD_LETTERS: usize = 8;
/// Fewest titles that must have a correction.
const MIN_TITLES: u32 = 3;
/// Least ratio between the titles that have a correction and those that have the word of the query.
const MIN_RATIO: u32 = 10;
/// A word that this many titles have is not corrected.
pub(in crate::opportunity_search) const COMMON_WORD_TITLES: u32 = 5;

/// The words of titles, with the number of titles that have them.
#[derive(Debug, Default)]
pub(in crate::opportunity_search) struct TitleWords {
    titles: HashMap<String, u32>,
    /// Possible corrections by first letter and length: a correction has the same first letter and a similar length.
    words_by_shape: HashMap<(char, usize), Vec<String>>,
}

impl TitleWords {
    /// Counts the words of a title, each once.
    pub(in crate::opportunity_search) fn add_title(&mut self, title: &str) {
        let mut words: Vec<String> = split_terms(title).filter(|word| !has_digit(word)).collect();
        words.sort_unstable();
        words.dedup();
        for word in words {
            *self.titles.entry(word).or_default() += 1;
        }
    }

    /// Builds the index for corrections, after all titles have been added.
    #[must_use]
    pub(in crate::opportunity_search) fn into_indexed(mut self) -> Self {
        for (word, titles) in &self.titles {
            if let (true, Some(first)) = (*titles >= MIN_TITLES, word.chars().next()) {
                self.words_by_shape.entry((first, word.chars().count())).or_default().push(word.clone());
            }
        }
        self
    }

    /// The number of titles that have a word.
    pub(in crate::opportunity_search) fn title_count(&self, word: &str) -> u32 {
        self.titles.get(word).copied().unwrap_or_default()
    }

    /// The correction of a word that `count` titles, or correspondingly many texts, have: the most similar frequent
    /// word, and of several the one in the most titles. `None` if the word seems to be spelled correctly.
    pub(in crate::opportunity_search) fn find_correction(&self, word: &str, count: u32) -> Option<&str> {
        let letters: Vec<char> = word.chars().collect();
        if letters.len() < MIN_WORD_LETTERS || has_digit(word) || count >= COMMON_WORD_TITLES {
            return None;
        }
        let max_distance = if letters.len() < LONG_WORD_LETTERS { 1 } else { 2 };
        let min_titles = MIN_TITLES.max(MIN_RATIO * count);
        let lengths = letters.len() - max_distance..=letters.len() + max_distance;
        let candidates = lengths.filter_map(|length| self.words_by_shape.get(&(letters[0], length))).flatten();
        let corrections = candidates.filter(|other| *other != word).filter_map(|other| {
            let titles = self.title_count(other);
            let distance =
                if titles >= min_titles { edit_distance(&letters, other, max_distance)? } else { return None };
            Some((distance, std::cmp::Reverse(titles), other.as_str()))
        });
        corrections.min().map(|(_, _, other)| other)
    }
}

/// The number of letters to insert, delete, replace or swap with the next one (the Damerau-Levenshtein distance with
/// adjacent swaps); `None` above a limit.
fn edit_distance(word: &[char], other: &str, limit: usize) -> Option<usize> {
    let other: Vec<char> = other.chars().collect();
    let mut row_before_previous: Vec<usize> = vec![];
    let mut previous_row: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in word.iter().enumerate() {
        let mut current_row = vec![row + 1];
        for (column, other_letter) in other.iter().enumerate() {
            let replaced = previous_row[column] + usize::from(letter != other_letter);
            let mut distance = replaced.min(previous_row[column + 1] + 1).min(current_row[column] + 1);
            let is_swap = row > 0 && column > 0 && *letter == other[column - 1] && word[row - 1] == *other_letter;
            if is_swap {
                distance = distance.min(row_before_previous[column - 1] + 1);
            }
            current_row.push(distance);
        }
        if current_row.iter().all(|distance| *distance > limit) {
            return None;
        }
        row_before_previous = std::mem::replace(&mut previous_row, current_row);
    }
    previous_row.last().copied().filter(|distance| *distance <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> TitleWords {
        let mut words = TitleWords::default();
        for title in ["Ophthalmic microscope", "Wheelchair repair", "Wheelchair parts", "WHEELCHAIRS"] {
            for _ in 0..4 {
                words.add_title(title);
            }
        }
        words.add_title("opthalmic lens");
        words.into_indexed()
    }

    #[test]
    fn a_misspelled_word_is_corrected_to_the_most_similar_frequent_one() {
        let correction = |word: &str| words().find_correction(word, 0).map(str::to_owned);
        assert_eq!(correction("wheelchiar").as_deref(), Some("wheelchair"));
        assert_eq!(correction("microscpe").as_deref(), Some("microscope"));
        assert_eq!(correction("opthamic").as_deref(), Some("ophthalmic"));
        assert_eq!(correction("bandage"), None);
        assert_eq!(correction("rpair").as_deref(), Some("repair"));
        assert_eq!(correction("pair"), None);
    }

    #[test]
    fn a_word_that_many_titles_have_is_not_corrected() {
        assert_eq!(words().find_correction("opthalmic", 0), Some("ophthalmic"));
        assert_eq!(words().find_correction("opthalmic", 1), None, "4 titles are not 10 times as many");
        assert_eq!(words().title_count("wheelchair"), 12);
        assert_eq!(words().find_correction("wheelchairy", COMMON_WORD_TITLES), None);
    }

    #[test]
    fn an_inserted_deleted_replaced_or_swapped_letter_counts_one() {
        let distance = |word: &str, other: &str| edit_distance(&word.chars().collect::<Vec<_>>(), other, 2);
        assert_eq!(distance("valve", "valve"), Some(0));
        assert_eq!(distance("valv", "valve"), Some(1));
        assert_eq!(distance("vavle", "valve"), Some(1));
        assert_eq!(distance("vvalves", "valve"), Some(2));
        assert_eq!(distance("pump", "valve"), None);
    }
}
