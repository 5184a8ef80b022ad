//! Turning texts into vectors whose angle tells how much they are about the same thing.

mod category_labels;
mod config;
mod notice_text;
mod static_model;

use std::path::PathBuf;

use futures::future::BoxFuture;

pub(super) use self::{category_labels::find_goods_group, notice_text::split_code};
pub use self::{config::EmbeddingConfig, notice_text::NoticeText, static_model::StaticModel};
use crate::error::BoxedError;

/// Why texts were not embedded.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddingError {
    /// A file of the model is not where it should be.
    #[error("finding {file} in {} (the Python package wordllama holds it; `medhub-local fetch` gets it)", dir.display())]
    Missing {
        /// The file's name.
        file: &'static str,
        /// The folder looked into.
        dir: PathBuf,
    },
    /// The model's files are there but not usable.
    #[error("loading the embedding model from {}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: BoxedError,
    },
    /// The model failed on a text.
    #[error("embedding a text")]
    Failed(#[source] BoxedError),
}

/// Which model made a vector: vectors of different models cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingModelId {
    /// The model.
    pub name: &'static str,
    /// Its version, which covers how texts are prepared for it.
    pub version: &'static str,
}

/// A model that embeds notices and questions into the same space.
pub trait Embedder: Send + Sync {
    /// Which model it is.
    fn model(&self) -> EmbeddingModelId;

    /// How long its vectors are.
    fn dimension(&self) -> usize;

    /// Unit vectors of notices, in their order.
    ///
    /// # Errors
    /// [`EmbeddingError`] when the model fails.
    fn embed<'a>(&'a self, notices: &'a [NoticeText]) -> BoxFuture<'a, Result<Vec<Vec<f32>>, EmbeddingError>>;

    /// Unit vector of a question.
    ///
    /// # Errors
    /// [`EmbeddingError`] when the model fails.
    fn embed_query<'a>(&'a self, query: &'a str) -> BoxFuture<'a, Result<Vec<f32>, EmbeddingError>>;
}
