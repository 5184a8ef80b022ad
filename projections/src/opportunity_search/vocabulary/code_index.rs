//! Finds the product and industry codes that the words of a query match, in the entries of the Product and Service Code
//! manual and of the NAICS index (`psc.tsv` and `naics.tsv`).

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use crate::opportunity_search::{
    notice_codes::{industry_term, product_term},
    terms::{has_digit, split_terms},
};

const PRODUCTS: &str = include_str!("psc.tsv");
const INDUSTRIES: &str = include_str!("naics.tsv");

/// Least similarity (a cosine) of a query and an entry for the entry's code to be found.
const MIN_SIMILARITY: f32 = 0.7;
/// Factor of the similarity of codes that are not medical.
const NON_MEDICAL_WEIGHT: f32 = 0.8;
/// Prefixes of medical codes.
const MEDICAL_PRODUCTS: &[&str] = &["65", "66", "Q", "J065", "V225"];
const MEDICAL_INDUSTRIES: &[&str] = &["62", "3391", "3254", "3345", "4234", "4242", "4461"];
/// Most codes that are found for one query.
const CODES_PER_QUERY: usize = 4;
/// Words of the tables that say nothing about a product or an activity.
const TABLE_STOP_WORDS: &[&str] = &[
    "elsewhere",
    "except",
    "from",
    "general",
    "including",
    "made",
    "manufacturing",
    "merchant",
    "other",
    "purchased",
    "retail",
    "service",
    "specified",
    "store",
    "type",
    "wholesale",
    "wholesaler",
];

static SHARED: LazyLock<CodeIndex> = LazyLock::new(|| CodeIndex::parse(PRODUCTS, INDUSTRIES));

/// The entries of the tables by their words.
pub(in crate::opportunity_search) struct CodeIndex {
    codes: Vec<IndexedCode>,
    entries: Vec<IndexEntry>,
    words: HashMap<String, Vec<u32>>,
}

struct IndexedCode {
    term: String,
    is_medical: bool,
}

struct IndexEntry {
    code: usize,
    /// Length of the entry's vector.
    length: f32,
}

impl CodeIndex {
    /// The index of the tables in this program. Built at its first use, in some hundredths of a second.
    pub(in crate::opportunity_search) fn shared() -> &'static Self {
        &SHARED
    }

    fn parse(products: &str, industries: &str) -> Self {
        let mut index = Self { codes: vec![], entries: vec![], words: HashMap::new() };
        let mut entry_words = vec![];
        for (table, to_term, medical_prefixes) in [
            (products, product_term as fn(&str) -> String, MEDICAL_PRODUCTS),
            (industries, industry_term as fn(&str) -> String, MEDICAL_INDUSTRIES),
        ] {
            for (code, entries) in table.lines().filter_map(|line| line.split_once('\t')) {
                let is_medical = medical_prefixes.iter().any(|prefix| code.starts_with(prefix));
                index.codes.push(IndexedCode { term: to_term(code), is_medical });
                for entry in entries.split('|') {
                    let mut words: Vec<String> = split_terms(entry).filter(|word| is_significant(word)).collect();
                    words.sort_unstable();
                    words.dedup();
                    if !words.is_empty() {
                        index.entries.push(IndexEntry { code: index.codes.len() - 1, length: 0.0 });
                        entry_words.push(words);
                    }
                }
            }
        }
        for (entry, words) in (0_u32..).zip(&entry_words) {
            for word in words {
                index.words.entry(word.clone()).or_default().push(entry);
            }
        }
        for (entry, words) in entry_words.iter().enumerate() {
            index.entries[entry].length = words.iter().map(|word| index.rarity(word).powi(2)).sum::<f32>().sqrt();
        }
        index
    }

    /// Whether a word is in the tables, and so is spelled correctly.
    pub(in crate::opportunity_search) fn contains(&self, word: &str) -> bool {
        self.words.contains_key(word)
    }

    /// The terms of the codes that weighted words match, with their similarities from 0 to 1, highest first.
    pub(in crate::opportunity_search) fn find_codes(&self, words: &BTreeMap<String, f32>) -> Vec<(&str, f32)> {
        let words: Vec<_> = words.iter().filter(|(word, _)| is_significant(word)).collect();
        let length = words.iter().map(|(word, weight)| (*weight * self.rarity(word)).powi(2)).sum::<f32>().sqrt();
        let mut products = HashMap::<u32, f32>::new();
        for (word, weight) in words {
            let product = weight * self.rarity(word).powi(2);
            for entry in self.words.get(word).into_iter().flatten() {
                *products.entry(*entry).or_default() += product;
            }
        }
        let mut similarities = BTreeMap::<usize, f32>::new();
        for (entry, product) in products {
            let entry = &self.entries[entry as usize];
            let factor = if self.codes[entry.code].is_medical { 1.0 } else { NON_MEDICAL_WEIGHT };
            let similarity = factor * product / (length * entry.length);
            let best = similarities.entry(entry.code).or_default();
            *best = best.max(similarity);
        }
        let mut codes: Vec<_> =
            similarities.into_iter().filter(|(_, similarity)| *similarity >= MIN_SIMILARITY).collect();
        codes.sort_by(|left, right| right.1.total_cmp(&left.1));
        codes.truncate(CODES_PER_QUERY);
        codes.into_iter().map(|(code, similarity)| (self.codes[code].term.as_str(), similarity)).collect()
    }

    /// Inverse document frequency of a word in the tables.
    #[expect(clippy::cast_precision_loss, reason = "the tables have some ten thousand entries")]
    fn rarity(&self, word: &str) -> f32 {
        let (all, with) = (self.entries.len() as f32, self.words.get(word).map_or(0, Vec::len) as f32);
        ((all - with + 0.5) / (with + 0.5)).ln_1p()
    }
}

fn is_significant(word: &str) -> bool {
    !has_digit(word) && TABLE_STOP_WORDS.binary_search(&word).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(query: &str) -> Vec<&'static str> {
        let words = split_terms(query).map(|word| (word, 1.0)).collect();
        CodeIndex::shared().find_codes(&words).into_iter().map(|(code, _)| code).collect()
    }

    #[test]
    fn words_of_an_entry_find_its_code() {
        assert!(codes("artificial limbs").contains(&"naics=339113"));
        assert!(codes("kidney dialysis centers").contains(&"naics=621492"));
        assert!(codes("hearing aids").contains(&"psc=6515"));
        assert!(codes("spectacle frames").contains(&"psc=6540"));
        assert!(TABLE_STOP_WORDS.is_sorted());
    }

    #[test]
    fn words_of_no_entry_find_no_code() {
        assert_eq!(codes("our new thing for next year"), Vec::<&str>::new());
        assert_eq!(codes(""), Vec::<&str>::new());
        assert_eq!(codes("6515"), Vec::<&str>::new());
    }
}
