//! Synonyms and abbreviations, from `synonyms.txt`.

use std::{collections::HashMap, sync::LazyLock};

use crate::opportunity_search::terms::split_terms;

const TABLE: &str = include_str!("synonyms.txt");

static SHARED: LazyLock<SynonymTable> = LazyLock::new(|| SynonymTable::parse(TABLE));

/// A phrase as terms.
type PhraseTerms = Vec<String>;

/// Groups of phrases with the same meaning.
pub(in crate::opportunity_search) struct SynonymTable {
    groups: Vec<Vec<PhraseTerms>>,
    /// The phrases by their first term, as indexes of the group and of the phrase in the group.
    phrases_by_first_term: HashMap<String, Vec<(usize, usize)>>,
}

/// A phrase of a query, and another one with the same meaning.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::opportunity_search) struct Synonym<'a> {
    /// The phrase in the query.
    pub(in crate::opportunity_search) phrase: &'a [String],
    /// The other phrase.
    pub(in crate::opportunity_search) alternative: &'a [String],
}

impl SynonymTable {
    /// The table in this program.
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
        let mut phrases_by_first_term = HashMap::<String, Vec<_>>::new();
        for (group_index, group) in groups.iter().enumerate() {
            for (phrase_index, phrase) in group.iter().enumerate() {
                phrases_by_first_term.entry(phrase[0].clone()).or_default().push((group_index, phrase_index));
            }
        }
        Self { groups, phrases_by_first_term }
    }

    /// Whether a term is in the table, and so is spelled correctly.
    pub(in crate::opportunity_search) fn contains(&self, term: &str) -> bool {
        self.groups.iter().flatten().flatten().any(|entry| entry == term)
    }

    /// The synonyms of the phrases in a query, without those that are in the query, too.
    pub(in crate::opportunity_search) fn find_synonyms(&self, terms: &[String]) -> Vec<Synonym<'_>> {
        let mut found = HashMap::<usize, Vec<usize>>::new();
        let mut order = vec![];
        for start in 0..terms.len() {
            for &(group, phrase) in self.phrases_by_first_term.get(&terms[start]).into_iter().flatten() {
                if terms[start..].starts_with(&self.groups[group][phrase]) {
                    let phrases = found.entry(group).or_default();
                    if phrases.is_empty() {
                        order.push(group);
                    }
                    phrases.push(phrase);
                }
            }
        }
        let mut synonyms = vec![];
        for group in order {
            let (phrases, found) = (&self.groups[group], &found[&group]);
            for (index, alternative) in phrases.iter().enumerate() {
                let is_in_query = found.contains(&index) || alternative.iter().all(|term| terms.contains(term));
                if !is_in_query {
                    synonyms.push(Synonym { phrase: &phrases[found[0]], alternative });
                }
            }
        }
        synonyms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alternatives(query: &str) -> Vec<String> {
        let terms: Vec<String> = split_terms(query).collect();
        SynonymTable::shared().find_synonyms(&terms).iter().map(|synonym| synonym.alternative.join(" ")).collect()
    }

    #[test]
    fn an_abbreviation_and_its_words_are_synonyms() {
        assert!(alternatives("DME for veterans").contains(&"durable medical equipment".to_owned()));
        assert!(alternatives("durable medical equipment").contains(&"dme".to_owned()));
        assert!(alternatives("AEDs").contains(&"automated external defibrillator".to_owned()));
    }

    #[test]
    fn a_phrase_that_is_in_the_query_is_not_a_synonym() {
        assert!(!alternatives("MRI, magnetic resonance imaging").iter().any(|phrase| phrase.starts_with("magnetic")));
        assert_eq!(alternatives("bolt"), Vec::<String>::new());
    }
}
