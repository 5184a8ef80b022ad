//! Making collections and their indexes: here that of the opportunities.

use qdrant_client::qdrant::{
    CreateCollectionBuilder, Distance, FieldType, Modifier, SparseVectorParamsBuilder, SparseVectorsConfigBuilder,
    VectorParamsBuilder, VectorsConfigBuilder,
};

use super::{
    OpportunitySearch,
    point::{DENSE, SPARSE},
};
use crate::QueryError;

/// Payload fields that filters ask for.
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
    /// Makes the collections and their indexes. Safe to run again.
    ///
    /// # Errors
    /// [`QueryError`] when the server is away or refuses.
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
