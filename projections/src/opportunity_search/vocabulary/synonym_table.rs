//! Words and abbreviations that stand for the same thing, from `synonyms.txt`.

use std::{collections::HashMap, sync::LazyLock};

use crate::opportunity_search::terms::split_terms;

const TABLE: &str = include_str!("synonyms.txt");

static SHARED: LazyLock<SynonymTable> = LazyLock::new(|| SynonymTable::parse(TABLE));

/// A phrase in plain terms.
type PhraseTerms = Vec<String>;

/// Groups of phrases of one meaning.
pub(in crate::opportunity_search) struct SynonymTable {
    groups: Vec<Vec<PhraseTerms>>,
    /// First term -> the phrases that begin with it, as group and place in the group.
    beginnings: HashMap<String, Vec<(usize, usize)>>,
}

/// A phrase of a query, and one that stands for the same thing.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::opportunity_search) struct Synonym<'a> {
    /// What the query says.
    pub(in crate::opportunity_search) phrase: &'a [String],
    /// What it could have said.
    pub(in crate::opportunity_search) alternative: &'a [String],
}

impl SynonymTable {
    /// The table of this program.
    pub(in crate::opportunity_search) fn shared() -> &'static Self {
        &SHARED
    }

    fn parse(table: &str) -> Self {
        let lines = table.lines().filter(|line| !line.starts_with('#'));
        let group = |line: &str| -> Vec<PhraseTerms> {
            line.split('|')
                .map(|phrase| split_terms(phrase).collect())
                .filter(|phrase: &PhraseTerms| !phrase.is_empty())
                .collect()
        };
        let groups: Vec<_> = lines.map(group).filter(|group| group.len() > 1).collect();
        let mut beginnings = HashMap::<String, Vec<_>>::new();
        for (at, group) in groups.iter().enumerate() {
            for (place, phrase) in group.iter().enumerate() {
                beginnings.entry(phrase[0].clone()).or_default().push((at, place));
            }
        }
        Self { groups, beginnings }
    }

    /// Whether a term is in the table: such a word is spelled as it should be.
    pub(in crate::opportunity_search) fn contains(&self, term: &str) -> bool {
        self.groups.iter().flatten().flatten().any(|known| known == term)
    }

    /// What could be said instead of the phrases of a query. What the query says anyway is left out.
    pub(in crate::opportunity_search) fn find_synonyms(&self, terms: &[String]) -> Vec<Synonym<'_>> {
        let mut said = HashMap::<usize, Vec<usize>>::new();
        let mut order = vec![];
        for start in 0..terms.len() {
            for &(group, place) in self.beginnings.get(&terms[start]).into_iter().flatten() {
                if terms[start..].starts_with(&self.groups[group][place]) {
                    let places = said.entry(group).or_default();
                    if places.is_empty() {
                        order.push(group);
                    }
                    places.push(place);
                }
            }
        }
        let mut synonyms = vec![];
        for group in order {
            let (phrases, places) = (&self.groups[group], &said[&group]);
            for (place, other) in phrases.iter().enumerate() {
                let is_news = !places.contains(&place) && !other.iter().all(|term| terms.contains(term));
                if is_news {
                    synonyms.push(Synonym { phrase: &phrases[places[0]], alternative: other });
                }
            }
        }
        synonyms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn others(query: &str) -> Vec<String> {
        let terms: Vec<String> = split_terms(query).collect();
        SynonymTable::shared().find_synonyms(&terms).iter().map(|synonym| synonym.alternative.join(" ")).collect()
    }

    #[test]
    fn an_abbreviation_leads_to_its_words_and_back() {
        assert!(others("DME for veterans").contains(&"durable medical equipment".to_owned()));
        assert!(others("durable medical equipment").contains(&"dme".to_owned()));
        assert!(others("AEDs").contains(&"automated external defibrillator".to_owned()));
    }

    #[test]
    fn what_is_said_anyway_is_no_synonym() {
        assert!(!others("MRI, magnetic resonance imaging").iter().any(|other| other.starts_with("magnetic")));
        assert_eq!(others("bolt"), Vec::<String>::new());
    }
}
