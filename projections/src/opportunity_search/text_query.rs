//! A text query that is compared with single opportunities, as a saved search is with each new one.
//!
//! Query expansion, vectors, weights and their sum are those of the search. Two things differ, because there is no list
//! of hits. Scores are not divided by the best ones of a list but by fixed ones: the words, by the score of an
//! opportunity of mean length that has all words of the query in its title; the meaning, by [`FULL_SIMILARITY`]. And
//! the inverse document frequencies are those of the time when the query was built.

#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc};

use super::{
    OpportunityDocument, OpportunitySearch, SearchRanking, expanded_query::ExpandedQuery, terms::TermCounts,
    vocabulary::TitleWords,
};
use crate::{QueryError, storage::qdrant::unavailable_error};

/// The cosine that counts as the highest similarity of a query and a notice. Of the 21 judged queries (ADR 28), 14 have
/// a notice that is as similar.
const FULL_SIMILARITY: f32 = 0.7;

/// Weight of the query's own words in an expanded query; words that were added have less.
const OWN_WORD_WEIGHT: f32 = 0.75;

/// A text query with everything that does not depend on the opportunity.
#[derive(Debug, Clone, PartialEq)]
pub struct TextQuery {
    /// The unit vector of its meaning, each value as a multiple of [`Self::vector_step`].
    vector: Box<[i8]>,
    vector_step: f32,
    /// Weights of its terms by dimension, ascending, multiplied by their inverse document frequencies.
    terms: Box<[(u32, f32)]>,
    /// The word score that counts as 1.
    full_word_score: f32,
    meaning_weight: f32,
}

/// The text of an opportunity as queries are compared with it.
#[derive(Debug, Clone, PartialEq)]
pub struct OpportunityText {
    /// The unit vector of its meaning.
    vector: Vec<f32>,
    /// Weights of its terms by dimension, ascending.
    terms: Vec<(u32, f32)>,
}

impl TextQuery {
    /// Builds a query of a vector, which need not have length 1, and of terms with their weights, ascending by
    /// dimension. `full_word_score` is the word score that counts as 1.
    pub fn new(vector: &[f32], terms: Vec<(u32, f32)>, full_word_score: f32, meaning_weight: f32) -> Self {
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        let largest = vector.iter().fold(f32::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
        #[expect(clippy::cast_possible_truncation, reason = "the quotient is between -127 and 127")]
        let quantized = vector.iter().map(|value| (value / largest * 127.0).round() as i8).collect();
        Self {
            vector: quantized,
            vector_step: largest / 127.0 / length,
            terms: terms.into(),
            full_word_score: full_word_score.max(f32::MIN_POSITIVE),
            meaning_weight,
        }
    }

    /// The weights of its terms by dimension, ascending. An opportunity's word score is the sum of their products with
    /// the opportunity's weights.
    pub fn terms(&self) -> &[(u32, f32)] {
        &self.terms
    }

    /// The relevance of an opportunity, from 0 to 1.
    pub fn score(&self, text: &OpportunityText) -> f32 {
        let words = self.terms.iter().filter_map(|(dimension, weight)| Some(weight * text.term_weight(*dimension)?));
        self.score_with_words(words.sum(), text)
    }

    /// The relevance of an opportunity whose word score is known.
    pub fn score_with_words(&self, word_score: f32, text: &OpportunityText) -> f32 {
        self.score_by_words(word_score) + self.meaning_weight * self.similarity(text)
    }

    /// The highest relevance of an opportunity with this word score, whatever its meaning.
    pub fn highest_score(&self, word_score: f32) -> f32 {
        self.score_by_words(word_score) + self.meaning_weight
    }

    fn score_by_words(&self, word_score: f32) -> f32 {
        (1.0 - self.meaning_weight) * (word_score / self.full_word_score).clamp(0.0, 1.0)
    }

    /// The similarity of meaning, from 0 to 1.
    fn similarity(&self, text: &OpportunityText) -> f32 {
        let product: f32 = self.vector.iter().zip(&text.vector).map(|(left, right)| f32::from(*left) * right).sum();
        (product * self.vector_step / FULL_SIMILARITY).clamp(0.0, 1.0)
    }

    fn from_expanded(expanded: &ExpandedQuery, vector: &[f32], rarity: impl Fn(u32) -> f32) -> Self {
        let terms: Vec<_> =
            expanded.terms.iter().map(|(dimension, weight)| (*dimension, weight * rarity(*dimension))).collect();
        let own_words = expanded.terms.iter().filter(|(_, weight)| **weight >= OWN_WORD_WEIGHT);
        let own_score: f32 = own_words.map(|(dimension, weight)| weight * rarity(*dimension)).sum();
        let meaning_weight = SearchRanking::Control.weights(expanded).meaning;
        Self::new(vector, terms, own_score * TermCounts::title_weight(), meaning_weight)
    }
}

impl OpportunityText {
    /// A text of a unit vector, and of terms with their weights, ascending by dimension.
    pub fn new(vector: Vec<f32>, terms: Vec<(u32, f32)>) -> Self {
        Self { vector, terms }
    }

    /// The weights of its terms by dimension, ascending.
    pub fn terms(&self) -> &[(u32, f32)] {
        &self.terms
    }

    fn term_weight(&self, dimension: u32) -> Option<f32> {
        let index = self.terms.binary_search_by_key(&dimension, |(found, _)| *found).ok()?;
        self.terms.get(index).map(|(_, weight)| *weight)
    }
}

/// Builds text queries. It keeps the statistics of the collection that several queries need.
pub struct TextQueryBuilder {
    search: OpportunitySearch,
    titles: Arc<TitleWords>,
    rarities: HashMap<u32, f32>,
}

impl TextQueryBuilder {
    /// Creates a builder with the present statistics of the collection.
    pub async fn create(search: OpportunitySearch) -> Self {
        let titles = search.title_words().await;
        Self { search, titles, rarities: HashMap::new() }
    }

    /// Builds the queries of texts, in their order.
    ///
    /// # Errors
    /// [`QueryError`] when `Qdrant` or the embedding model is unavailable.
    pub async fn build_queries(&mut self, texts: &[&str]) -> Result<Vec<TextQuery>, QueryError> {
        let mut expanded = Vec::with_capacity(texts.len());
        for text in texts {
            let corrections = self.search.find_corrections(text, &self.titles).await?;
            expanded.push(ExpandedQuery::expand(text, &corrections, &self.titles));
        }
        let mut unknown: Vec<u32> = expanded.iter().flat_map(|query| query.terms.keys().copied()).collect();
        unknown.retain(|dimension| !self.rarities.contains_key(dimension));
        unknown.sort_unstable();
        unknown.dedup();
        self.rarities.extend(self.search.load_term_rarities(&unknown).await?);
        let mut queries = Vec::with_capacity(texts.len());
        for query in &expanded {
            let vector = self.search.embed_weighted(&query.weighted_texts).await?;
            let rarity = |dimension| self.rarities.get(&dimension).copied().unwrap_or_default();
            queries.push(TextQuery::from_expanded(query, &vector, rarity));
        }
        Ok(queries)
    }
}

impl OpportunitySearch {
    /// Prepares the texts of opportunities for comparisons with queries, in their order.
    ///
    /// # Errors
    /// [`QueryError`] when the embedding model fails.
    pub async fn prepare_opportunity_texts(
        &self,
        documents: &[&OpportunityDocument],
    ) -> Result<Vec<OpportunityText>, QueryError> {
        let texts: Vec<_> = documents.iter().map(|document| document.text.clone()).collect();
        let vectors = self.embedder().embed(&texts).await.map_err(unavailable_error)?;
        let pairs = documents.iter().zip(vectors);
        Ok(pairs.map(|(document, vector)| OpportunityText::new(vector, document.terms.to_pairs())).collect())
    }
}
