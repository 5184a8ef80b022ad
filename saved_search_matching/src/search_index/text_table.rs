//! The texts of searches by their terms. Searches with the same text share one entry.

use std::collections::HashMap;

use projections::opportunity_search::{OpportunityText, TextQuery};

/// The texts of searches.
#[derive(Debug, Default)]
pub(super) struct TextTable {
    entries: Vec<TextEntry>,
    free_entries: Vec<u32>,
    entries_by_text: HashMap<Box<str>, u32>,
    /// Entries by the terms of their queries, with the weight of the term.
    postings: HashMap<u32, Vec<(u32, f32)>>,
    /// Entries whose query has no terms: all of them are compared by meaning.
    without_terms: Vec<u32>,
}

/// A text, and the searches that have it.
#[derive(Debug, Default)]
pub(super) struct TextEntry {
    text: Box<str>,
    /// `None` in a free entry, and for a text whose query is unknown.
    pub(super) query: Option<TextQuery>,
    /// Slots of the searches.
    pub(super) searches: Vec<u32>,
}

/// The word scores of all texts for one opportunity. Reused between opportunities, because most are 0.
#[derive(Debug, Default)]
pub struct WordScores {
    scores: Vec<f32>,
    /// Entries whose score is not 0.
    touched: Vec<u32>,
}

impl TextTable {
    pub(super) fn len(&self) -> usize {
        self.entries_by_text.len()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.entries_by_text.is_empty() && self.postings.is_empty() && self.without_terms.is_empty()
    }

    pub(super) fn contains(&self, text: &str) -> bool {
        self.entries_by_text.contains_key(text)
    }

    /// Adds a search to a text's entry, which is created with `query` if there is none. Returns the entry.
    pub(super) fn add_search(&mut self, text: &str, query: Option<TextQuery>, slot: u32) -> u32 {
        if let Some(number) = self.entries_by_text.get(text) {
            if let Some(entry) = self.entries.get_mut(*number as usize) {
                entry.searches.push(slot);
            }
            return *number;
        }
        let number = self.free_entries.pop().unwrap_or_else(|| {
            self.entries.push(TextEntry::default());
            u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(query) = &query {
            for (dimension, weight) in query.terms() {
                self.postings.entry(*dimension).or_default().push((number, *weight));
            }
            if query.terms().is_empty() {
                self.without_terms.push(number);
            }
        }
        self.entries_by_text.insert(text.into(), number);
        if let Some(entry) = self.entries.get_mut(number as usize) {
            *entry = TextEntry { text: text.into(), query, searches: vec![slot] };
        }
        number
    }

    /// Removes a search from an entry, and the entry with its last search. Returns the text and query of an entry that
    /// is removed.
    pub(super) fn remove_search(&mut self, number: u32, slot: u32) -> Option<(Box<str>, TextQuery)> {
        let entry = self.entries.get_mut(number as usize)?;
        entry.searches.retain(|found| *found != slot);
        if !entry.searches.is_empty() {
            return None;
        }
        let TextEntry { text, query, .. } = std::mem::take(entry);
        self.entries_by_text.remove(&text);
        for (dimension, _) in query.iter().flat_map(TextQuery::terms) {
            if let Some(postings) = self.postings.get_mut(dimension) {
                postings.retain(|(found, _)| *found != number);
                if postings.is_empty() {
                    self.postings.remove(dimension);
                }
            }
        }
        self.without_terms.retain(|found| *found != number);
        self.free_entries.push(number);
        Some((text, query?))
    }

    /// Sums up the word score of each text that shares a term with the opportunity.
    pub(super) fn sum_word_scores(&self, text: &OpportunityText, scores: &mut WordScores) {
        for number in scores.touched.drain(..) {
            if let Some(score) = scores.scores.get_mut(number as usize) {
                *score = 0.0;
            }
        }
        scores.scores.resize(self.entries.len(), 0.0);
        for (dimension, weight) in text.terms() {
            for (number, query_weight) in self.postings.get(dimension).into_iter().flatten() {
                if let Some(score) = scores.scores.get_mut(*number as usize) {
                    if *score == 0.0 {
                        scores.touched.push(*number);
                    }
                    *score += query_weight * weight;
                }
            }
        }
    }

    /// The texts that may match, with their word scores.
    pub(super) fn candidates<'a>(&'a self, scores: &'a WordScores) -> impl Iterator<Item = (&'a TextEntry, f32)> {
        let by_words = scores.touched.iter().copied().chain(self.without_terms.iter().copied());
        by_words.filter_map(|number| Some((self.entries.get(number as usize)?, *scores.scores.get(number as usize)?)))
    }
}
