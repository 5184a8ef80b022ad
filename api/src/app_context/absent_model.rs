//! Stands in for the embedding model in commands that embed nothing.

use futures::future::BoxFuture;
use projections::opportunity_search::{
    Embedder, EmbeddingError, StaticModel,
    embedding::{EmbeddingModelId, NoticeText},
};

/// An [`Embedder`] that always fails.
pub(super) struct AbsentModel;

/// A vector was requested from [`AbsentModel`]: a defect of this program.
#[derive(Debug, thiserror::Error)]
#[error("this command has loaded no embedding model")]
struct ModelNotLoaded;

impl Embedder for AbsentModel {
    fn model(&self) -> EmbeddingModelId {
        EmbeddingModelId { name: "absent", version: "0" }
    }

    /// The dimension of the model that the command has not loaded.
    fn dimension(&self) -> usize {
        StaticModel::DIMENSION
    }

    fn embed<'a>(&'a self, _notices: &'a [NoticeText]) -> BoxFuture<'a, Result<Vec<Vec<f32>>, EmbeddingError>> {
        Box::pin(std::future::ready(Err(EmbeddingError::Failed(ModelNotLoaded.into()))))
    }

    fn embed_query<'a>(&'a self, _query: &'a str) -> BoxFuture<'a, Result<Vec<f32>, EmbeddingError>> {
        Box::pin(std::future::ready(Err(EmbeddingError::Failed(ModelNotLoaded.into()))))
    }
}
