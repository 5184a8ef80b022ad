//! Embeds texts: turns them into vectors whose angle says how similar their meanings are.

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
    /// A file of the model does not exist.
    #[error("no {file} in {}; it is part of the Python package wordllama, see `medhub-local fetch`", dir.display())]
    Missing {
        /// The file's name.
        file: &'static str,
        /// The folder of the model.
        dir: PathBuf,
    },
    /// A file of the model cannot be used.
    #[error("loading the embedding model from {}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: BoxedError,
    },
    /// The model failed on a text.
    #[error("embedding a text")]
    Failed(#[source] BoxedError),
}

/// The model that made a vector; vectors of different models cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingModelId {
    /// Name of the model.
    pub name: &'static str,
    /// Version of the model and of the preparation of texts for it.
    pub version: &'static str,
}

/// A model that embeds notices and queries into the same vector space.
pub trait Embedder: Send + Sync {
    /// The identity of the model.
    fn model(&self) -> EmbeddingModelId;

    /// Number of dimensions of its vectors.
    fn dimension(&self) -> usize;

    /// Returns the unit vectors of notices, in their order.
    ///
    /// # Errors
    /// [`EmbeddingError`] when the model fails.
    fn embed<'a>(&'a self, notices: &'a [NoticeText]) -> BoxFuture<'a, Result<Vec<Vec<f32>>, EmbeddingError>>;

    /// Returns the unit vector of a query.
    ///
    /// # Errors
    /// [`EmbeddingError`] when the model fails.
    fn embed_query<'a>(&'a self, query: &'a str) -> BoxFuture<'a, Result<Vec<f32>, EmbeddingError>>;
}
