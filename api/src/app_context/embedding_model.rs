//! Loads the embedding model of the semantic search.

use projections::opportunity_search::{EmbeddingConfig, EmbeddingError, StaticModel};

/// Loads the embedding model on a thread for blocking work.
///
/// # Errors
/// [`EmbeddingError`] when `embedding.model_dir` does not contain a valid model.
pub async fn load_embedding_model(config: &EmbeddingConfig) -> Result<StaticModel, EmbeddingError> {
    let folder = config.model_dir.clone();
    match tokio::task::spawn_blocking(move || StaticModel::load(&folder)).await {
        Ok(loaded) => loaded,
        Err(ended) => std::panic::resume_unwind(ended.into_panic()),
    }
}
