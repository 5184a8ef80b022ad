//! How many titles have each word, and the word that a misspelled one was meant to be.

use std::collections::HashMap;

use crate::opportunity_search::terms::{has_digit, split_terms};

/// Shorter words are never corrected: too many words are one letter away from them.
const MIN_WORD_LETTERS: usize = 5;
/// From this length on two letters may be wrong.
const LONG_WORD_LETTERS: usize = 8;
/// A correction stands in so many titles at least,
const MIN_TITLES: u32 = 3;
/// and in so many times as many as the word that was asked for.
const MIN_RATIO: u32 = 10;
/// A word of so many titles is what it should be.
pub(in crate::opportunity_search) const COMMON_WORD_TITLES: u32 = 5;

/// The words of titles.
#[derive(Debug, Default)]
pub(in crate::opportunity_search) struct TitleWords {
    titles: HashMap<String, u32>,
    /// First letter and length -> words: what could be meant by a word shares both, nearly.
    words_by_shape: HashMap<(char, usize), Vec<String>>,
}

impl TitleWords {
    /// Counts a title's words.
    pub(in crate::opportunity_search) fn add_title(&mut self, title: &str) {
        let mut words: Vec<String> = split_terms(title).filter(|word| !has_digit(word)).collect();
        words.sort_unstable();
        words.dedup();
        for word in words {
            *self.titles.entry(word).or_default() += 1;
        }
    }

    /// Makes corrections possible, once all titles are counted.
    #[must_use]
    pub(in crate::opportunity_search) fn into_indexed(mut self) -> Self {
        for (word, titles) in &self.titles {
            if let (true, Some(first)) = (*titles >= MIN_TITLES, word.chars().next()) {
                self.words_by_shape.entry((first, word.chars().count())).or_default().push(word.clone());
            }
        }
        self
    }

    /// How many titles have a word.
    pub(in crate::opportunity_search) fn title_count(&self, word: &str) -> u32 {
        self.titles.get(word).copied().unwrap_or_default()
    }

    /// The word that this one was meant to be, where it stands in `known` titles or like many texts itself. The nearest,
    /// and of several the one in most titles.
    pub(in crate::opportunity_search) fn find_correction(&self, word: &str, known: u32) -> Option<&str> {
        let letters: Vec<char> = word.chars().collect();
        if letters.len() < MIN_WORD_LETTERS || has_digit(word) || known >= COMMON_WORD_TITLES {
            return None;
        }
        let most = if letters.len() < LONG_WORD_LETTERS { 1 } else { 2 };
        let least = MIN_TITLES.max(MIN_RATIO * known);
        let lengths = letters.len() - most..=letters.len() + most;
        let alike = lengths.filter_map(|length| self.words_by_shape.get(&(letters[0], length))).flatten();
        let near = alike.filter(|other| *other != word).filter_map(|other| {
            let titles = self.title_count(other);
            let distance = if titles >= least { edit_distance(&letters, other, most)? } else { return None };
            Some((distance, std::cmp::Reverse(titles), other.as_str()))
        });
        near.min().map(|(_, _, other)| other)
    }
}

/// How many letters have to be put in, left out, changed or swapped with the next one; `None` above a limit.
fn edit_distance(word: &[char], other: &str, limit: usize) -> Option<usize> {
    let other: Vec<char> = other.chars().collect();
    let mut before: Vec<usize> = vec![];
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in word.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, found) in other.iter().enumerate() {
            let changed = above[column] + usize::from(letter != found);
            let mut least = changed.min(above[column + 1] + 1).min(current[column] + 1);
            let is_swap = row > 0 && column > 0 && *letter == other[column - 1] && word[row - 1] == *found;
            if is_swap {
                least = least.min(before[column - 1] + 1);
            }
            current.push(least);
        }
        if current.iter().all(|least| *least > limit) {
            return None;
        }
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().filter(|distance| *distance <= limit)
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
    fn a_misspelled_word_is_the_nearest_common_one() {
        let correction = |word: &str| words().find_correction(word, 0).map(str::to_owned);
        assert_eq!(correction("wheelchiar").as_deref(), Some("wheelchair"));
        assert_eq!(correction("microscpe").as_deref(), Some("microscope"));
        assert_eq!(correction("opthamic").as_deref(), Some("ophthalmic"));
        assert_eq!(correction("bandage"), None);
        assert_eq!(correction("rpair").as_deref(), Some("repair"));
        assert_eq!(correction("pair"), None);
    }

    #[test]
    fn a_word_that_many_texts_have_is_not_corrected() {
        assert_eq!(words().find_correction("opthalmic", 0), Some("ophthalmic"));
        assert_eq!(words().find_correction("opthalmic", 1), None, "4 titles are not 10 times as many");
        assert_eq!(words().title_count("wheelchair"), 12);
        assert_eq!(words().find_correction("wheelchairy", COMMON_WORD_TITLES), None);
    }

    #[test]
    fn letters_in_out_changed_and_swapped_count_one_each() {
        let distance = |word: &str, other: &str| edit_distance(&word.chars().collect::<Vec<_>>(), other, 2);
        assert_eq!(distance("valve", "valve"), Some(0));
        assert_eq!(distance("valv", "valve"), Some(1));
        assert_eq!(distance("vavle", "valve"), Some(1));
        assert_eq!(distance("vvalves", "valve"), Some(2));
        assert_eq!(distance("pump", "valve"), None);
    }
}
