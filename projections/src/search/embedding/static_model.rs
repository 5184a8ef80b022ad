//! Static embeddings: each token has one vector, a text is their weighted mean. No inference, tens of thousands of
//! texts a second.
//!
//! Weights and tokenizer are those of the Python package `wordllama` (MIT), 256 dimensions. Beside what the package
//! does, frequent tokens weigh less, title, category and description are weighed against each other, and a question
//! is drawn towards the product categories it resembles.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use futures::{FutureExt, future::BoxFuture};
use safetensors::{Dtype, SafeTensors};
use tokenizers::Tokenizer;

use super::{Embedder, EmbeddingError, ModelName, NoticeText, category, text::words};

const WEIGHTS: &str = "l2_supercat_256.safetensors";
const TOKENIZER: &str = "l2_supercat_tokenizer_config.json";
const TENSOR: &str = "embedding.weight";
const DIMENSION: usize = 256;
const MODEL: ModelName = ModelName { name: "wordllama-l2-supercat-256", version: "0.4.0+1" };

/// A text is cut after so many tokens.
const MAX_TOKENS: usize = 1_024;

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
    tokenizer: Tokenizer,
    /// One row per token.
    vectors: Vec<f32>,
    /// One weight per token.
    weights: Vec<f32>,
    /// Unit vectors of the categories.
    categories: Vec<Vec<f32>>,
}

impl StaticModel {
    /// Reads weights and tokenizer from a folder. Blocks for some tenths of a second.
    ///
    /// # Errors
    /// [`EmbeddingError`] when a file is missing or not what it should be.
    pub fn load(dir: &Path) -> Result<Self, EmbeddingError> {
        let tokenizer_path = find(dir, "tokenizers", TOKENIZER)?;
        let weights_path = find(dir, "weights", WEIGHTS)?;
        let mut tokenizer = Tokenizer::from_file(&tokenizer_path)
            .map_err(|source| EmbeddingError::Unusable { path: tokenizer_path.clone(), source })?;
        // Texts are pooled one by one: padding would only be work.
        tokenizer.with_padding(None);
        let bytes = std::fs::read(&weights_path)
            .map_err(|source| EmbeddingError::Unusable { path: weights_path.clone(), source: source.into() })?;
        let vectors = vectors(&bytes).map_err(|source| EmbeddingError::Unusable { path: weights_path, source })?;
        let weights = (0..vectors.len() / DIMENSION).map(token_weight).collect();
        let mut inner = Inner { tokenizer, vectors, weights, categories: vec![] };
        inner.categories = inner.category_vectors()?;
        Ok(Self(Arc::new(inner)))
    }

    /// Mean of the token vectors as the Python package makes it, without anything of ours; not a unit vector.
    ///
    /// # Errors
    /// [`EmbeddingError`] when the tokenizer fails.
    pub fn plain_mean(&self, text: &str) -> Result<Vec<f32>, EmbeddingError> {
        self.0.pool(text, |_| 1.0)
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
            tokio::task::spawn_blocking(move || notices.iter().map(|notice| inner.notice(notice)).collect())
                .await
                .map_err(|source| EmbeddingError::Failed(source.into()))?
        }
        .boxed()
    }

    fn embed_query<'a>(&'a self, query: &'a str) -> BoxFuture<'a, Result<Vec<f32>, EmbeddingError>> {
        async move { self.0.query(query) }.boxed()
    }
}

impl Inner {
    fn notice(&self, notice: &NoticeText) -> Result<Vec<f32>, EmbeddingError> {
        let mut vector = self.weighted(&notice.title())?;
        if let Some(label) = notice.code().and_then(category::label) {
            add(&mut vector, &self.weighted(&label)?, CATEGORY_WEIGHT);
        }
        add(&mut vector, &self.weighted(&notice.description())?, DESCRIPTION_WEIGHT);
        self.unit_or_nothing(vector)
    }

    fn query(&self, query: &str) -> Result<Vec<f32>, EmbeddingError> {
        let plain = words(query);
        let text = if plain.is_empty() { query.to_lowercase() } else { plain };
        let mut vector = self.unit_or_nothing(self.weighted(&text)?)?;
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

    fn category_vectors(&self) -> Result<Vec<Vec<f32>>, EmbeddingError> {
        let labels = category::codes().filter_map(category::label);
        let vectors = labels.map(|label| self.weighted(&label)).collect::<Result<Vec<_>, _>>()?;
        Ok(vectors.into_iter().filter_map(unit).collect())
    }

    fn weighted(&self, text: &str) -> Result<Vec<f32>, EmbeddingError> {
        self.pool(text, |token| self.weights[token])
    }

    /// Weighted mean of the token vectors; zero for an empty text.
    fn pool(&self, text: &str, weight: impl Fn(usize) -> f32) -> Result<Vec<f32>, EmbeddingError> {
        let mut mean = vec![0.0; DIMENSION];
        if text.is_empty() {
            return Ok(mean);
        }
        let encoding = self.tokenizer.encode_fast(text, false).map_err(EmbeddingError::Failed)?;
        let mut total = 0.0;
        for &id in encoding.get_ids().iter().take(MAX_TOKENS) {
            // As the package does: an id beyond the table means its last row.
            let token = (id as usize).min(self.weights.len() - 1);
            add(&mut mean, &self.vectors[token * DIMENSION..(token + 1) * DIMENSION], weight(token));
            total += weight(token);
        }
        if total > 0.0 {
            for value in &mut mean {
                *value /= total;
            }
        }
        Ok(mean)
    }

    fn unit_or_nothing(&self, vector: Vec<f32>) -> Result<Vec<f32>, EmbeddingError> {
        match unit(vector) {
            Some(vector) => Ok(vector),
            None => Ok(unit(self.weighted(NOTHING)?).unwrap_or_else(|| vec![1.0; DIMENSION])),
        }
    }
}

/// How much a token counts. Its id is nearly its rank by frequency, because the tokenizer's vocabulary was built by
/// merging the most frequent pairs first.
#[expect(clippy::cast_precision_loss, reason = "token ids are far below 2^24")]
fn token_weight(id: usize) -> f32 {
    (id as f32 + 1.0).ln().max(f32::MIN_POSITIVE)
}

/// Looks for a file in the folder itself and where the wheel has it.
fn find(dir: &Path, folder: &str, file: &'static str) -> Result<PathBuf, EmbeddingError> {
    [dir.join(file), dir.join(folder).join(file), dir.join("wordllama").join(folder).join(file)]
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| EmbeddingError::Missing { file, dir: dir.to_owned() })
}

fn vectors(bytes: &[u8]) -> Result<Vec<f32>, crate::error::Source> {
    let tensors = SafeTensors::deserialize(bytes)?;
    let tensor = tensors.tensor(TENSOR)?;
    let &[rows, DIMENSION] = tensor.shape() else {
        return Err(format!("the tensor has the shape {:?}", tensor.shape()).into());
    };
    if rows == 0 || tensor.dtype() != Dtype::F16 {
        return Err(format!("the tensor has {rows} rows of {:?}", tensor.dtype()).into());
    }
    Ok(tensor.data().chunks_exact(2).map(|pair| half(u16::from_le_bytes([pair[0], pair[1]]))).collect())
}

/// A 16-bit float as a 32-bit one, by rearranging its bits.
fn half(bits: u16) -> f32 {
    let bits = u32::from(bits);
    let (sign, exponent, fraction) = ((bits & 0x8000) << 16, (bits >> 10) & 0x1f, bits & 0x3ff);
    let magnitude = match (exponent, fraction) {
        // Below the smallest normal number a step is 2^-24.
        (0, fraction) => f32::from_bits(0x3380_0000) * f32::from(u16::try_from(fraction).unwrap_or_default()),
        (0x1f, fraction) => f32::from_bits(0x7f80_0000 | (fraction << 13)),
        (exponent, fraction) => f32::from_bits(((exponent + 112) << 23) | (fraction << 13)),
    };
    f32::from_bits(magnitude.to_bits() | sign)
}

fn add(sum: &mut [f32], vector: &[f32], weight: f32) {
    sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += weight * value);
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

#[cfg(test)]
mod tests;
