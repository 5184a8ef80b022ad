//! Static embeddings: each token has one vector, a text is their weighted mean. No inference, tens of thousands of
//! texts a second.
//!
//! Weights and tokenizer are those of the Python package `wordllama` (MIT), 256 dimensions. Beside what the package
//! does, frequent tokens weigh less, title, category and description are weighed against each other, and a question
//! is drawn towards the product categories it resembles.

#[cfg(test)]
mod tests;
mod token_table;

use std::{path::Path, sync::Arc};

use futures::{FutureExt, future::BoxFuture};

use self::token_table::{DIMENSION, TokenCache, TokenTable, add_weighted};
use super::{Embedder, EmbeddingError, EmbeddingModelId, NoticeText, category_labels, notice_text::plain_words};

const MODEL: EmbeddingModelId = EmbeddingModelId { name: "wordllama-l2-supercat-256", version: "0.4.0+1" };

/// How much category and description weigh beside the title.
const CATEGORY_WEIGHT: f32 = 0.5;
const DESCRIPTION_WEIGHT: f32 = 0.3;

/// How sharply a question chooses its categories: smaller means fewer.
const CATEGORY_TEMPERATURE: f32 = 0.05;

/// What stands for a text without a single token: no unit vector could be made of nothing.
const PLACEHOLDER_TEXT: &str = "unspecified";

/// The model, in memory once however often it is cloned.
#[derive(Clone)]
pub struct StaticModel(Arc<ModelData>);

struct ModelData {
    table: TokenTable,
    /// Unit vectors of the categories.
    categories: Vec<Vec<f32>>,
}

impl StaticModel {
    /// Reads weights and tokenizer from a folder. Blocks for some tenths of a second.
    ///
    /// # Errors
    /// [`EmbeddingError`] when a file is missing or not what it should be.
    pub fn load(dir: &Path) -> Result<Self, EmbeddingError> {
        let table = TokenTable::load(dir)?;
        let mut memory = TokenCache::default();
        let labels = category_labels::labelled_codes().filter_map(category_labels::category_label);
        let labels = labels.map(|label| table.weighted_mean(&label, &mut memory)).collect::<Result<Vec<_>, _>>()?;
        let categories = labels.into_iter().filter_map(normalize).collect();
        Ok(Self(Arc::new(ModelData { table, categories })))
    }

    /// Mean of the token vectors as the Python package makes it, without anything of ours; not a unit vector.
    ///
    /// # Errors
    /// [`EmbeddingError`] when the tokenizer fails.
    pub fn plain_mean(&self, text: &str) -> Result<Vec<f32>, EmbeddingError> {
        self.0.table.plain_mean(text)
    }
}

impl Embedder for StaticModel {
    fn model(&self) -> EmbeddingModelId {
        MODEL
    }

    fn dimension(&self) -> usize {
        DIMENSION
    }

    fn embed<'a>(&'a self, notices: &'a [NoticeText]) -> BoxFuture<'a, Result<Vec<Vec<f32>>, EmbeddingError>> {
        let (inner, notices) = (Arc::clone(&self.0), notices.to_vec());
        async move {
            // Milliseconds per hundred notices: too long for a thread that serves others.
            let work = tokio::task::spawn_blocking(move || {
                let mut memory = TokenCache::default();
                notices.iter().map(|notice| inner.embed_notice(notice, &mut memory)).collect()
            });
            work.await.map_err(|source| EmbeddingError::Failed(source.into()))?
        }
        .boxed()
    }

    fn embed_query<'a>(&'a self, query: &'a str) -> BoxFuture<'a, Result<Vec<f32>, EmbeddingError>> {
        let (inner, query) = (Arc::clone(&self.0), query.to_owned());
        async move {
            // A question is compared with every category: others on this thread would wait for it.
            let work = tokio::task::spawn_blocking(move || inner.embed_query(&query));
            work.await.map_err(|source| EmbeddingError::Failed(source.into()))?
        }
        .boxed()
    }
}

impl ModelData {
    fn embed_notice(&self, notice: &NoticeText, memory: &mut TokenCache) -> Result<Vec<f32>, EmbeddingError> {
        let mut vector = self.table.weighted_mean(&notice.plain_title(), memory)?;
        if let Some(label) = notice.code().and_then(category_labels::category_label) {
            add_weighted(&mut vector, &self.table.weighted_mean(&label, memory)?, CATEGORY_WEIGHT);
        }
        add_weighted(&mut vector, &self.table.weighted_mean(&notice.plain_description(), memory)?, DESCRIPTION_WEIGHT);
        match normalize(vector) {
            Some(vector) => Ok(vector),
            None => self.normalize_or_placeholder(self.table.weighted_mean(&notice.raw_title(), memory)?),
        }
    }

    fn embed_query(&self, query: &str) -> Result<Vec<f32>, EmbeddingError> {
        let plain = plain_words(query);
        let text = if plain.is_empty() { query.to_lowercase() } else { plain };
        let mut vector = self.normalize_or_placeholder(self.table.weighted_mean(&text, &mut TokenCache::default())?)?;
        let likeness: Vec<f32> = self.categories.iter().map(|category| dot_product(category, &vector)).collect();
        let best = likeness.iter().copied().fold(0.0, f32::max);
        let mut towards = vec![0.0; DIMENSION];
        for (category, likeness) in self.categories.iter().zip(&likeness) {
            add_weighted(&mut towards, category, ((likeness - best) / CATEGORY_TEMPERATURE).exp());
        }
        if let Some(towards) = normalize(towards) {
            add_weighted(&mut vector, &towards, best);
        }
        self.normalize_or_placeholder(vector)
    }

    fn normalize_or_placeholder(&self, vector: Vec<f32>) -> Result<Vec<f32>, EmbeddingError> {
        if let Some(vector) = normalize(vector) {
            return Ok(vector);
        }
        let nothing = self.table.weighted_mean(PLACEHOLDER_TEXT, &mut TokenCache::default())?;
        Ok(normalize(nothing).unwrap_or_else(|| vec![1.0; DIMENSION]))
    }
}

fn dot_product(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

/// The vector at length 1; `None` where it has none.
fn normalize(mut vector: Vec<f32>) -> Option<Vec<f32>> {
    let length = dot_product(&vector, &vector).sqrt();
    if !length.is_finite() || length <= f32::EPSILON {
        return None;
    }
    for value in &mut vector {
        *value /= length;
    }
    Some(vector)
}
