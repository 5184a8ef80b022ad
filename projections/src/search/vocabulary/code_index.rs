//! Which product and industry codes a query's words lead to: what the Product and Service Code manual and the index of NAICS
//! say that a code includes, from `psc.tsv` and `naics.tsv`.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use crate::search::{
    notice_codes::{industry_term, product_term},
    terms::{has_digit, split},
};

const PRODUCTS: &str = include_str!("psc.tsv");
const INDUSTRIES: &str = include_str!("naics.tsv");

/// Least likeness (a cosine) of a query and an entry that leads to the entry's code.
const LEAST_LIKENESS: f32 = 0.7;
/// What the likeness to a code that has nothing to do with medicine counts.
const OTHER_FIELDS: f32 = 0.8;
/// The codes that do.
const MEDICAL_PRODUCTS: &[&str] = &["65", "66", "Q", "J065", "V225"];
const MEDICAL_INDUSTRIES: &[&str] = &["62", "3391", "3254", "3345", "4234", "4242", "4461"];
/// Codes that one query leads to, at most.
const CODES_PER_QUERY: usize = 4;
/// Words of the tables that say nothing about what is made, sold or done.
const EMPTY_WORDS: &[&str] = &[
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

static SHARED: LazyLock<CodeIndex> = LazyLock::new(|| CodeIndex::read(PRODUCTS, INDUSTRIES));

/// The entries of the tables by their words.
pub(in crate::search) struct CodeIndex {
    codes: Vec<Code>,
    entries: Vec<Entry>,
    words: HashMap<String, Vec<u32>>,
}

struct Code {
    term: String,
    is_medical: bool,
}

struct Entry {
    code: usize,
    /// Length of the entry's vector.
    length: f32,
}

impl CodeIndex {
    /// The index over the tables of this program. Made when it is first asked for, in some hundredths of a second.
    pub(in crate::search) fn shared() -> &'static Self {
        &SHARED
    }

    fn read(products: &str, industries: &str) -> Self {
        let mut index = Self { codes: vec![], entries: vec![], words: HashMap::new() };
        let mut words_of_entries = vec![];
        for (table, term, medical) in [
            (products, product_term as fn(&str) -> String, MEDICAL_PRODUCTS),
            (industries, industry_term as fn(&str) -> String, MEDICAL_INDUSTRIES),
        ] {
            for (code, entries) in table.lines().filter_map(|line| line.split_once('\t')) {
                let is_medical = medical.iter().any(|beginning| code.starts_with(beginning));
                index.codes.push(Code { term: term(code), is_medical });
                for entry in entries.split('|') {
                    let mut words: Vec<String> = split(entry).filter(|word| is_telling(word)).collect();
                    words.sort_unstable();
                    words.dedup();
                    if !words.is_empty() {
                        index.entries.push(Entry { code: index.codes.len() - 1, length: 0.0 });
                        words_of_entries.push(words);
                    }
                }
            }
        }
        for (entry, words) in (0_u32..).zip(&words_of_entries) {
            for word in words {
                index.words.entry(word.clone()).or_default().push(entry);
            }
        }
        for (entry, words) in words_of_entries.iter().enumerate() {
            index.entries[entry].length = words.iter().map(|word| index.rarity(word).powi(2)).sum::<f32>().sqrt();
        }
        index
    }

    /// Whether a word is in the tables: such a word is spelled as it should be.
    pub(in crate::search) fn contains(&self, word: &str) -> bool {
        self.words.contains_key(word)
    }

    /// The terms of the codes that weighted words lead to, with how surely they do, from 0 to 1; the surest first.
    pub(in crate::search) fn codes_of(&self, words: &BTreeMap<String, f32>) -> Vec<(&str, f32)> {
        let words: Vec<_> = words.iter().filter(|(word, _)| is_telling(word)).collect();
        let length = words.iter().map(|(word, weight)| (*weight * self.rarity(word)).powi(2)).sum::<f32>().sqrt();
        let mut products = HashMap::<u32, f32>::new();
        for (word, weight) in words {
            let product = weight * self.rarity(word).powi(2);
            for entry in self.words.get(word).into_iter().flatten() {
                *products.entry(*entry).or_default() += product;
            }
        }
        let mut likeness = BTreeMap::<usize, f32>::new();
        for (entry, product) in products {
            let entry = &self.entries[entry as usize];
            let field = if self.codes[entry.code].is_medical { 1.0 } else { OTHER_FIELDS };
            let found = field * product / (length * entry.length);
            let best = likeness.entry(entry.code).or_default();
            *best = best.max(found);
        }
        let mut codes: Vec<_> = likeness.into_iter().filter(|(_, likeness)| *likeness >= LEAST_LIKENESS).collect();
        codes.sort_by(|left, right| right.1.total_cmp(&left.1));
        codes.truncate(CODES_PER_QUERY);
        codes.into_iter().map(|(code, likeness)| (self.codes[code].term.as_str(), likeness)).collect()
    }

    /// Inverse document frequency of a word in the tables.
    #[expect(clippy::cast_precision_loss, reason = "the tables have some ten thousand entries")]
    fn rarity(&self, word: &str) -> f32 {
        let (all, with) = (self.entries.len() as f32, self.words.get(word).map_or(0, Vec::len) as f32);
        ((all - with + 0.5) / (with + 0.5)).ln_1p()
    }
}

fn is_telling(word: &str) -> bool {
    !has_digit(word) && EMPTY_WORDS.binary_search(&word).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(query: &str) -> Vec<&'static str> {
        let words = split(query).map(|word| (word, 1.0)).collect();
        CodeIndex::shared().codes_of(&words).into_iter().map(|(code, _)| code).collect()
    }

    #[test]
    fn words_that_titles_lack_lead_to_codes() {
        assert!(codes("artificial limbs").contains(&"naics=339113"));
        assert!(codes("kidney dialysis centers").contains(&"naics=621492"));
        assert!(codes("hearing aids").contains(&"psc=6515"));
        assert!(codes("spectacle frames").contains(&"psc=6540"));
        assert!(EMPTY_WORDS.is_sorted());
    }

    #[test]
    fn words_of_no_entry_lead_nowhere() {
        assert_eq!(codes("our new thing for next year"), Vec::<&str>::new());
        assert_eq!(codes(""), Vec::<&str>::new());
        assert_eq!(codes("6515"), Vec::<&str>::new());
    }
}
