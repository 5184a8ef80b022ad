//! Static embeddings: each token has one vector, and the vector of a text is their weighted mean. This needs no
//! inference and embeds tens of thousands of texts a second.
//!
//! Weights and tokenizer are those of the Python package `wordllama` (MIT), with 256 dimensions. Other than in the
//! package, frequent tokens have smaller weights, title, category and description of a notice have different weights,
//! and the vector of a query is moved towards the product categories that it is similar to.

#[cfg(test)]
mod tests;
mod token_table;
mod token_vectors;

use std::{
    path::Path,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use futures::{FutureExt, future::BoxFuture};

use self::token_table::{DIMENSION, TokenCache, TokenTable, add_weighted};
use super::{Embedder, EmbeddingError, EmbeddingModelId, NoticeText, category_labels, notice_text::plain_words};

const MODEL: EmbeddingModelId = EmbeddingModelId { name: "wordllama-l2-supercat-256", version: "0.4.0+1" };

/// Weights of category and description; the weight of the title is 1.
const CATEGORY_WEIGHT: f32 = 0.5;
const DESCRIPTION_WEIGHT: f32 = 0.3;

/// Temperature of the weights of categories in a query: with a smaller one, fewer categories count.
const CATEGORY_TEMPERATURE: f32 = 0.05;

/// Embedded instead of a text without tokens, which has no unit vector.
const PLACEHOLDER_TEXT: &str = "unspecified";

/// Caches that are kept for later calls: more calls at once than there are processors are rare.
const MAX_IDLE_CACHES: usize = 8;

/// The model; clones share its memory.
#[derive(Clone)]
pub struct StaticModel(Arc<ModelData>);

struct ModelData {
    table: TokenTable,
    /// Unit vectors of the categories, once a query needs them.
    categories: OnceLock<Vec<Vec<f32>>>,
    /// Caches that no call uses at the moment; a call takes one, so that calls do not wait for each other.
    idle_caches: Mutex<Vec<TokenCache>>,
}

impl StaticModel {
    /// Number of dimensions of its vectors.
    pub const DIMENSION: usize = DIMENSION;

    /// Reads the tokenizer from a folder, and opens the file of weights. Blocks for some hundredths of a second.
    ///
    /// # Errors
    /// [`EmbeddingError`] when a file is missing or invalid.
    pub fn load(dir: &Path) -> Result<Self, EmbeddingError> {
        let table = TokenTable::load(dir)?;
        Ok(Self(Arc::new(ModelData { table, categories: OnceLock::new(), idle_caches: Mutex::default() })))
    }

    /// The unweighted mean of the token vectors, as the Python package computes it; not a unit vector.
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
        let (data, notices) = (Arc::clone(&self.0), notices.to_vec());
        async move {
            // Takes milliseconds for a hundred notices, too long for a thread of the async runtime.
            let work = tokio::task::spawn_blocking(move || {
                data.with_cache(|cache| notices.iter().map(|notice| data.embed_notice(notice, cache)).collect())
            });
            work.await.map_err(|source| EmbeddingError::Failed(source.into()))?
        }
        .boxed()
    }

    fn embed_query<'a>(&'a self, query: &'a str) -> BoxFuture<'a, Result<Vec<f32>, EmbeddingError>> {
        let (data, query) = (Arc::clone(&self.0), query.to_owned());
        async move {
            // A query is compared with every category, which takes too long for a thread of the async runtime.
            let work = tokio::task::spawn_blocking(move || data.embed_query(&query));
            work.await.map_err(|source| EmbeddingError::Failed(source.into()))?
        }
        .boxed()
    }
}

impl ModelData {
    /// Calls `work` with a cache that no other call uses.
    fn with_cache<T>(&self, work: impl FnOnce(&mut TokenCache) -> T) -> T {
        let idle = || self.idle_caches.lock().unwrap_or_else(PoisonError::into_inner);
        let mut cache = idle().pop().unwrap_or_default();
        let result = work(&mut cache);
        let mut idle_caches = idle();
        if !cache.is_full() && idle_caches.len() < MAX_IDLE_CACHES {
            idle_caches.push(cache);
        }
        result
    }

    fn embed_notice(&self, notice: &NoticeText, cache: &mut TokenCache) -> Result<Vec<f32>, EmbeddingError> {
        let mut vector = self.table.weighted_mean(&notice.plain_title(), cache)?;
        if let Some(label) = notice.code().and_then(category_labels::category_label) {
            add_weighted(&mut vector, &self.table.weighted_mean(&label, cache)?, CATEGORY_WEIGHT);
        }
        add_weighted(&mut vector, &self.table.weighted_mean(&notice.plain_description(), cache)?, DESCRIPTION_WEIGHT);
        match normalize(vector) {
            Some(vector) => Ok(vector),
            None => self.normalize_or_placeholder(self.table.weighted_mean(&notice.raw_title(), cache)?),
        }
    }

    fn embed_query(&self, query: &str) -> Result<Vec<f32>, EmbeddingError> {
        let plain = plain_words(query);
        let text = if plain.is_empty() { query.to_lowercase() } else { plain };
        let mean = self.with_cache(|cache| self.table.weighted_mean(&text, cache))?;
        let mut vector = self.normalize_or_placeholder(mean)?;
        let categories = self.category_vectors()?;
        let similarities: Vec<f32> = categories.iter().map(|category| dot_product(category, &vector)).collect();
        let best = similarities.iter().copied().fold(0.0, f32::max);
        let mut category_mean = vec![0.0; DIMENSION];
        for (category, similarity) in categories.iter().zip(&similarities) {
            add_weighted(&mut category_mean, category, ((similarity - best) / CATEGORY_TEMPERATURE).exp());
        }
        if let Some(category_mean) = normalize(category_mean) {
            add_weighted(&mut vector, &category_mean, best);
        }
        self.normalize_or_placeholder(vector)
    }

    /// Unit vectors of the categories.
    fn category_vectors(&self) -> Result<&[Vec<f32>], EmbeddingError> {
        if let Some(categories) = self.categories.get() {
            return Ok(categories);
        }
        let labels = category_labels::labelled_codes().filter_map(category_labels::category_label);
        let means = self.with_cache(|cache| {
            labels.map(|label| self.table.weighted_mean(&label, cache)).collect::<Result<Vec<_>, _>>()
        })?;
        // Another query may have computed them meanwhile.
        Ok(self.categories.get_or_init(|| means.into_iter().filter_map(normalize).collect()))
    }

    fn normalize_or_placeholder(&self, vector: Vec<f32>) -> Result<Vec<f32>, EmbeddingError> {
        if let Some(vector) = normalize(vector) {
            return Ok(vector);
        }
        let placeholder = self.table.weighted_mean(PLACEHOLDER_TEXT, &mut TokenCache::default())?;
        Ok(normalize(placeholder).unwrap_or_else(|| vec![1.0; DIMENSION]))
    }
}

/// The product of two vectors. Eight independent sums let the compiler use vector instructions.
fn dot_product(left: &[f32], right: &[f32]) -> f32 {
    let (left, left_rest) = left.as_chunks::<8>();
    let (right, right_rest) = right.as_chunks::<8>();
    let mut sums = [0.0_f32; 8];
    for (left, right) in left.iter().zip(right) {
        sums.iter_mut().zip(left).zip(right).for_each(|((sum, left), right)| *sum += left * right);
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(left, right)| left * right).sum();
    sums.iter().sum::<f32>() + rest
}

/// Scales a vector to length 1; `None` if its length is zero or not finite.
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
