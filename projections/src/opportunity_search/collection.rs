//! Creates the collections of a generation and their indexes.

use qdrant_client::qdrant::{
    CreateCollectionBuilder, Distance, FieldType, Modifier, SparseVectorParamsBuilder, SparseVectorsConfigBuilder,
    VectorParamsBuilder, VectorsConfigBuilder,
};

use super::{
    OpportunitySearch,
    point::{DENSE, SPARSE},
};
use crate::QueryError;

/// Payload fields that filters use.
const INDEXES: &[(&str, FieldType)] = &[
    ("agency_code", FieldType::Keyword),
    ("notice_type", FieldType::Keyword),
    ("naics_prefixes", FieldType::Keyword),
    ("set_aside", FieldType::Keyword),
    ("tenant_id", FieldType::Keyword),
    ("bucket", FieldType::Integer),
    ("posted_at", FieldType::Datetime),
    ("response_deadline", FieldType::Datetime),
];

impl OpportunitySearch {
    /// Creates the collections and their indexes. Idempotent.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or rejects a request.
    pub async fn migrate(&self) -> Result<(), QueryError> {
        let (mut dense, mut sparse) = (VectorsConfigBuilder::default(), SparseVectorsConfigBuilder::default());
        let size = self.embedder().dimension() as u64;
        dense.add_named_vector_params(DENSE, VectorParamsBuilder::new(size, Distance::Cosine));
        sparse.add_named_vector_params(SPARSE, SparseVectorParamsBuilder::default().modifier(Modifier::Idf));
        let create =
            CreateCollectionBuilder::new(self.collection()).vectors_config(dense).sparse_vectors_config(sparse);
        self.qdrant().ensure_collection(self.collection(), create, INDEXES).await?;
        self.migrate_tenant_collection().await
    }
}
