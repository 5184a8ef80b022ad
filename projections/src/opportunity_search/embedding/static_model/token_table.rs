//! The table of token vectors, and means of its vectors.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use tokenizers::Tokenizer;

use super::{super::EmbeddingError, token_vectors::TokenVectors};

pub(super) const DIMENSION: usize = 256;
pub(super) const TOKENIZER: &str = "l2_supercat_tokenizer_config.json";
const WEIGHTS: &str = "l2_supercat_256.safetensors";

/// A vector and a weight for each token.
pub(super) struct TokenTable {
    tokenizer: Tokenizer,
    vectors: TokenVectors,
    weights: Vec<f32>,
}

/// Number of words from which a cache is full: some five megabytes.
const CACHED_WORDS: usize = 50_000;

/// Bytes of the longest word that is kept in a cache. Longer ones are rare, and would make its size unknown.
const MAX_CACHED_WORD_BYTES: usize = 40;

/// The tokens of words that were tokenized before: notices repeat words, and tokenizing them takes most of the time.
#[derive(Default)]
pub(super) struct TokenCache(HashMap<String, Vec<usize>>);

impl TokenCache {
    /// Whether it should be replaced by an empty one.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= CACHED_WORDS
    }
}

impl TokenTable {
    pub(super) fn load(dir: &Path) -> Result<Self, EmbeddingError> {
        let tokenizer_path = find_file(dir, "tokenizers", TOKENIZER)?;
        let weights_path = find_file(dir, "weights", WEIGHTS)?;
        let mut tokenizer = Tokenizer::from_file(&tokenizer_path)
            .map_err(|source| EmbeddingError::Unusable { path: tokenizer_path.clone(), source })?;
        // Texts are embedded one by one, which needs no padding.
        tokenizer.with_padding(None);
        let vectors = TokenVectors::open(&weights_path)
            .map_err(|source| EmbeddingError::Unusable { path: weights_path, source })?;
        let weights = (0..vectors.count()).map(token_weight).collect();
        Ok(Self { tokenizer, vectors, weights })
    }

    /// The unweighted mean of a text's token vectors, as the Python package computes it; zero for an empty text.
    pub(super) fn plain_mean(&self, text: &str) -> Result<Vec<f32>, EmbeddingError> {
        let mut mean = WeightedMean::default();
        for token in self.tokenize(text)? {
            mean.add(self.vectors.vector(token)?, 1.0);
        }
        Ok(mean.finish())
    }

    /// The weighted mean of the vectors of a text's tokens; zero for an empty text.
    ///
    /// The text is tokenized word by word, which gives the same tokens, because no token extends across a space.
    pub(super) fn weighted_mean(&self, text: &str, cache: &mut TokenCache) -> Result<Vec<f32>, EmbeddingError> {
        let mut mean = WeightedMean::default();
        for word in text.split_whitespace() {
            if word.len() > MAX_CACHED_WORD_BYTES {
                self.add_tokens(&mut mean, &self.tokenize(word)?)?;
                continue;
            }
            if !cache.0.contains_key(word) {
                cache.0.insert(word.to_owned(), self.tokenize(word)?);
            }
            if let Some(tokens) = cache.0.get(word) {
                self.add_tokens(&mut mean, tokens)?;
            }
        }
        Ok(mean.finish())
    }

    fn add_tokens(&self, mean: &mut WeightedMean, tokens: &[usize]) -> Result<(), EmbeddingError> {
        for &token in tokens {
            mean.add(self.vectors.vector(token)?, self.weights[token]);
        }
        Ok(())
    }

    pub(super) fn tokenize(&self, text: &str) -> Result<Vec<usize>, EmbeddingError> {
        if text.is_empty() {
            return Ok(vec![]);
        }
        let encoding = self.tokenizer.encode_fast(text, false).map_err(EmbeddingError::Failed)?;
        // As in the Python package, an id beyond the table means its last row.
        let last = self.weights.len() - 1;
        Ok(encoding.get_ids().iter().map(|&id| (id as usize).min(last)).collect())
    }
}

/// Accumulates a weighted mean.
struct WeightedMean {
    sum: Vec<f32>,
    weight: f32,
}

impl Default for WeightedMean {
    fn default() -> Self {
        Self { sum: vec![0.0; DIMENSION], weight: 0.0 }
    }
}

impl WeightedMean {
    fn add(&mut self, vector: &[f32], weight: f32) {
        add_weighted(&mut self.sum, vector, weight);
        self.weight += weight;
    }

    fn finish(mut self) -> Vec<f32> {
        if self.weight > 0.0 {
            for value in &mut self.sum {
                *value /= self.weight;
            }
        }
        self.sum
    }
}

/// Adds a vector multiplied by a weight to a sum.
pub(super) fn add_weighted(sum: &mut [f32], vector: &[f32], weight: f32) {
    sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += weight * value);
}

/// The weight of a token: rarer tokens have larger ones. The id is nearly the rank by frequency, because the
/// tokenizer's vocabulary was built by merging the most frequent pairs first.
#[expect(clippy::cast_precision_loss, reason = "token ids are far below 2^24")]
fn token_weight(id: usize) -> f32 {
    (id as f32 + 1.0).ln().max(f32::MIN_POSITIVE)
}

/// Looks for a file in the folder itself and at its path in the Python wheel.
fn find_file(dir: &Path, folder: &str, file: &'static str) -> Result<PathBuf, EmbeddingError> {
    [dir.join(file), dir.join(folder).join(file), dir.join("wordllama").join(folder).join(file)]
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| EmbeddingError::Missing { file, dir: dir.to_owned() })
}
