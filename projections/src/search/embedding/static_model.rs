//! Static embeddings: each token has one vector, a text is their weighted mean. No inference, tens of thousands of
//! texts a second.
//!
//! Weights and tokenizer are those of the Python package `wordllama` (MIT), 256 dimensions. Beside what the package
//! does, frequent tokens weigh less, title, category and description are weighed against each other, and a question
//! is drawn towards the product categories it resembles.

mod table;
#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc};

use futures::{FutureExt, future::BoxFuture};

use self::table::{DIMENSION, TokenTable, WordMemory, add};
use super::{Embedder, EmbeddingError, ModelName, NoticeText, category, text::words};

const MODEL: ModelName = ModelName { name: "wordllama-l2-supercat-256", version: "0.4.0+1" };

/// How much category and description weigh beside the title.
const CATEGORY_WEIGHT: f32 = 0.5;
const DESCRIPTION_WEIGHT: f32 = 0.3;

/// How sharply a question chooses its categories: smaller means fewer.
const CATEGORY_TEMPERATURE: f32 = 0.05;

/// What stands for a text without a single token: no unit vector could be made of nothing.
const NOTHING: &str = "unspecified";

/// The model, in memory once however often it is cloned.
#[derive(Clone)]
pub struct StaticModel(Arc<Inner>);

struct Inner {
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
        let mut memory = WordMemory::default();
        let labels = category::codes().filter_map(category::label);
        let labels = labels.map(|label| table.weighted_mean(&label, &mut memory)).collect::<Result<Vec<_>, _>>()?;
        let categories = labels.into_iter().filter_map(unit).collect();
        Ok(Self(Arc::new(Inner { table, categories })))
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
    fn model(&self) -> ModelName {
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
                let mut memory = WordMemory::default();
                notices.iter().map(|notice| inner.notice(notice, &mut memory)).collect()
            });
            work.await.map_err(|source| EmbeddingError::Failed(source.into()))?
        }
        .boxed()
    }

    fn embed_query<'a>(&'a self, query: &'a str) -> BoxFuture<'a, Result<Vec<f32>, EmbeddingError>> {
        let (inner, query) = (Arc::clone(&self.0), query.to_owned());
        async move {
            // A question is compared with every category: others on this thread would wait for it.
            let work = tokio::task::spawn_blocking(move || inner.query(&query));
            work.await.map_err(|source| EmbeddingError::Failed(source.into()))?
        }
        .boxed()
    }
}

impl Inner {
    fn notice(&self, notice: &NoticeText, memory: &mut WordMemory) -> Result<Vec<f32>, EmbeddingError> {
        let mut vector = self.table.weighted_mean(&notice.title(), memory)?;
        if let Some(label) = notice.code().and_then(category::label) {
            add(&mut vector, &self.table.weighted_mean(&label, memory)?, CATEGORY_WEIGHT);
        }
        add(&mut vector, &self.table.weighted_mean(&notice.description(), memory)?, DESCRIPTION_WEIGHT);
        match unit(vector) {
            Some(vector) => Ok(vector),
            None => self.unit_or_nothing(self.table.weighted_mean(&notice.raw_title(), memory)?),
        }
    }

    fn query(&self, query: &str) -> Result<Vec<f32>, EmbeddingError> {
        let plain = words(query);
        let text = if plain.is_empty() { query.to_lowercase() } else { plain };
        let mut vector = self.unit_or_nothing(self.table.weighted_mean(&text, &mut WordMemory::default())?)?;
        let likeness: Vec<f32> = self.categories.iter().map(|category| dot(category, &vector)).collect();
        let best = likeness.iter().copied().fold(0.0, f32::max);
        let mut towards = vec![0.0; DIMENSION];
        for (category, likeness) in self.categories.iter().zip(&likeness) {
            add(&mut towards, category, ((likeness - best) / CATEGORY_TEMPERATURE).exp());
        }
        if let Some(towards) = unit(towards) {
            add(&mut vector, &towards, best);
        }
        self.unit_or_nothing(vector)
    }

    fn unit_or_nothing(&self, vector: Vec<f32>) -> Result<Vec<f32>, EmbeddingError> {
        if let Some(vector) = unit(vector) {
            return Ok(vector);
        }
        let nothing = self.table.weighted_mean(NOTHING, &mut WordMemory::default())?;
        Ok(unit(nothing).unwrap_or_else(|| vec![1.0; DIMENSION]))
    }
}

fn dot(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

/// The vector at length 1; `None` where it has none.
fn unit(mut vector: Vec<f32>) -> Option<Vec<f32>> {
    let length = dot(&vector, &vector).sqrt();
    if !length.is_finite() || length <= f32::EPSILON {
        return None;
    }
    for value in &mut vector {
        *value /= length;
    }
    Some(vector)
}
