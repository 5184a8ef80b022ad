//! The rankings of hits that companies can be compared by.

use super::expanded_query::ExpandedQuery;

/// Weight of the score by meaning for a query with an identifier: points that have it come before all that do not.
const MEANING_WEIGHT_WITH_IDENTIFIER: f32 = 0.02;

/// How the scores of a hit are weighted. All rankings choose among the same candidates. ADR 43 has what was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SearchRanking {
    /// The default, a compromise between short and long queries.
    #[default]
    Control,
    /// Words count more.
    Words,
    /// Meaning counts more.
    Meaning,
    /// As the default, but the newer of two notices that match alike comes first.
    Recent,
}

impl SearchRanking {
    /// All rankings.
    pub const ALL: [Self; 4] = [Self::Control, Self::Words, Self::Meaning, Self::Recent];

    /// The name, which is that of a variant of the flag `search.ranking`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Words => "words",
            Self::Meaning => "meaning",
            Self::Recent => "recent",
        }
    }

    /// The ranking with a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ranking| ranking.name() == name)
    }

    /// The weights for a query.
    pub(super) fn weights(self, expanded: &ExpandedQuery) -> RankingWeights {
        let recency = match self {
            // A search for a number is for the notices that have it, of any age.
            Self::Recent if !expanded.has_identifier => 0.1,
            Self::Recent | Self::Control | Self::Words | Self::Meaning => 0.0,
        };
        let meaning_share = match self {
            _ if expanded.terms.is_empty() => 1.0,
            _ if expanded.has_identifier => MEANING_WEIGHT_WITH_IDENTIFIER,
            // Chosen on real notices (ADR 28): a smaller weight finds more for the judged queries, a larger one more for
            // long queries.
            Self::Control | Self::Recent => 0.45,
            Self::Words => 0.3,
            Self::Meaning => 0.6,
        };
        let meaning = (1.0 - recency) * meaning_share;
        RankingWeights { meaning, words: 1.0 - recency - meaning, recency }
    }
}

/// The weights of a hit's scores, 1 in total.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RankingWeights {
    /// Weight of the similarity in meaning.
    pub(super) meaning: f32,
    /// Weight of the words in common.
    pub(super) words: f32,
    /// Weight of the date of the notice.
    pub(super) recency: f32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ranking_is_found_by_its_name() {
        for ranking in SearchRanking::ALL {
            assert_eq!(SearchRanking::from_name(ranking.name()), Some(ranking));
        }
        assert_eq!(SearchRanking::from_name("Words"), None);
        let names = SearchRanking::ALL.map(SearchRanking::name);
        assert_eq!(names, domain::feature_flag::SEARCH_RANKINGS, "those that flags may name");
    }

    #[test]
    fn weights_add_up_to_one_and_identifiers_are_searched_alike_by_all_rankings() {
        for ranking in SearchRanking::ALL {
            for text in ["hospital beds", "6515-01-530-6147", "the"] {
                let RankingWeights { meaning, words, recency } = ranking.weights(&ExpandedQuery::from_text(text));
                assert!((meaning + words + recency - 1.0).abs() < 1e-6, "{ranking:?} {text}");
                assert!(
                    [meaning, words, recency].iter().all(|weight| (0.0..=1.0).contains(weight)),
                    "{ranking:?} {text}"
                );
            }
            let identifier = ExpandedQuery::from_text("6515-01-530-6147");
            assert_eq!(ranking.weights(&identifier), SearchRanking::Control.weights(&identifier));
        }
    }
}
