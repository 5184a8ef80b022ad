//! The index of saved searches: finds the searches that an opportunity matches without looking at the others.
//!
//! ```text
//! search without text ─▶ posted under each of its NAICS codes, else agencies, else set-asides
//! search with text ───▶ posted under the terms of its expanded query; searches with the same text share one entry
//! ```
//! An opportunity looks up its own codes and terms. What it finds is then checked against all criteria: structure first,
//! then the words, whose score the look-up has summed up, then the meaning, which alone needs the vectors. A text matches
//! from [`MATCH_THRESHOLD`] on, which meaning alone cannot reach: a text that shares no term with the opportunity need
//! not be looked at.

#[cfg(test)]
mod tests;
mod text_table;

use std::collections::HashMap;

use projections::opportunity_search::{OpportunityText, TextQuery};

use self::text_table::TextTable;
pub use self::text_table::WordScores;
use crate::{MatchedOpportunity, SearchEntry, SearchKey};

/// The least relevance of an opportunity that matches a text. Chosen on the judged queries of ADR 28 (ADR 37).
pub const MATCH_THRESHOLD: f32 = 0.65;

/// The saved searches of all tenants.
#[derive(Debug, Default)]
pub struct SearchIndex {
    slots: Vec<Option<SearchSlot>>,
    free_slots: Vec<u32>,
    slots_by_key: HashMap<SearchKey, u32>,
    naics: CodePostings,
    agencies: CodePostings,
    set_asides: CodePostings,
    texts: TextTable,
}

/// Slots of searches by a code.
type CodePostings = HashMap<Box<str>, Vec<u32>>;

#[derive(Debug)]
struct SearchSlot {
    entry: SearchEntry,
    /// Its entry in the table of texts, if it has a text.
    text: Option<u32>,
}

/// How many searches and texts an index holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IndexSize {
    /// Number of searches.
    pub searches: usize,
    /// Number of different texts.
    pub texts: usize,
}

impl SearchIndex {
    /// Adds a search, or replaces the one with the same key. `query` is the query of its text, if it has one and no
    /// search of the index has the same; a text without a query matches nothing. Returns the query of a text that no
    /// search has any more.
    pub fn insert(&mut self, entry: SearchEntry, query: Option<TextQuery>) -> Option<(Box<str>, TextQuery)> {
        let mut unused = self.remove(&entry.key);
        // The search that is replaced may have been the only one with the text.
        let has_same_text = unused.as_ref().is_some_and(|(text, _)| entry.text.as_ref() == Some(text));
        let query = if has_same_text { unused.take().map(|(_, query)| query) } else { query };
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let text = entry.text.as_deref().map(|text| self.texts.add_search(text, query, slot));
        if text.is_none() {
            let (postings, codes) = self.access_path(&entry);
            for code in codes {
                postings.entry(code.clone()).or_default().push(slot);
            }
        }
        self.slots_by_key.insert(entry.key.clone(), slot);
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(SearchSlot { entry, text });
        }
        unused
    }

    /// Removes a search, if it is there. Returns the query of its text, if no other search has the same.
    pub fn remove(&mut self, key: &SearchKey) -> Option<(Box<str>, TextQuery)> {
        let slot = self.slots_by_key.remove(key)?;
        let SearchSlot { entry, text } = self.slots.get_mut(slot as usize).and_then(Option::take)?;
        self.free_slots.push(slot);
        if let Some(text) = text {
            return self.texts.remove_search(text, slot);
        }
        let (postings, codes) = self.access_path(&entry);
        for code in codes {
            if let Some(slots) = postings.get_mut(code) {
                slots.retain(|found| *found != slot);
                if slots.is_empty() {
                    postings.remove(code);
                }
            }
        }
        None
    }

    /// The search with this key.
    pub fn find(&self, key: &SearchKey) -> Option<&SearchEntry> {
        self.entry(*self.slots_by_key.get(key)?)
    }

    /// Whether the query of a text is known.
    pub fn contains_text(&self, text: &str) -> bool {
        self.texts.contains(text)
    }

    /// How many searches and texts it holds.
    pub fn size(&self) -> IndexSize {
        IndexSize { searches: self.slots_by_key.len(), texts: self.texts.len() }
    }

    /// All searches, in no order.
    pub fn entries(&self) -> impl Iterator<Item = &SearchEntry> {
        self.slots.iter().flatten().map(|slot| &slot.entry)
    }

    /// The searches that an opportunity matches, each once, in the order of their slots. `scores` is reused between
    /// calls.
    pub fn match_opportunity<'a>(
        &'a self,
        opportunity: &MatchedOpportunity,
        text: &OpportunityText,
        scores: &mut WordScores,
    ) -> Vec<&'a SearchEntry> {
        let (document, mut found) = (&opportunity.document, vec![]);
        let agency = self.agencies.get(document.agency_code());
        let set_aside = document.set_aside().and_then(|code| self.set_asides.get(code));
        let naics = document.naics_prefixes().iter().filter_map(|prefix| self.naics.get(prefix.as_str()));
        for slot in naics.chain(agency).chain(set_aside).flatten() {
            found.extend(self.find_structural_match(*slot, opportunity));
        }
        self.texts.sum_word_scores(text, scores);
        for (entry, word_score) in self.texts.candidates(scores) {
            let Some(query) = entry.query.as_ref().filter(|query| query.highest_score(word_score) >= MATCH_THRESHOLD)
            else {
                continue;
            };
            let before = found.len();
            found.extend(entry.searches.iter().filter_map(|slot| self.find_structural_match(*slot, opportunity)));
            if found.len() > before && query.score_with_words(word_score, text) < MATCH_THRESHOLD {
                found.truncate(before);
            }
        }
        // A search with several NAICS codes may have been found by two of them.
        found.sort_unstable();
        found.dedup();
        found.into_iter().filter_map(|slot| self.entry(slot)).collect()
    }

    fn find_structural_match(&self, slot: u32, opportunity: &MatchedOpportunity) -> Option<u32> {
        self.entry(slot)?.matches_structure(opportunity).then_some(slot)
    }

    fn entry(&self, slot: u32) -> Option<&SearchEntry> {
        self.slots.get(slot as usize)?.as_ref().map(|slot| &slot.entry)
    }

    /// The postings and codes that find a search without text.
    fn access_path<'a>(&mut self, entry: &'a SearchEntry) -> (&mut CodePostings, &'a [Box<str>]) {
        // NAICS codes are the most selective, set-asides the least.
        if !entry.naics.is_empty() {
            (&mut self.naics, &entry.naics)
        } else if !entry.agencies.is_empty() {
            (&mut self.agencies, &entry.agencies)
        } else {
            (&mut self.set_asides, &entry.set_asides)
        }
    }
}
