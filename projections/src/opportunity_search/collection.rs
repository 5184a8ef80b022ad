//! Making collections and their indexes: here that of the opportunities.

use qdrant_client::qdrant::{
    CreateCollectionBuilder, CreateFieldIndexCollectionBuilder, Distance, FieldType, Modifier,
    SparseVectorParamsBuilder, SparseVectorsConfigBuilder, VectorParamsBuilder, VectorsConfigBuilder,
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
        self.ensure_collection(self.collection(), create, INDEXES).await?;
        self.migrate_tenant_collection().await
    }

    /// Makes a collection that is not there, and its indexes.
    pub(super) async fn ensure_collection(
        &self,
        collection: &str,
        create: CreateCollectionBuilder,
        indexes: &[(&str, FieldType)],
    ) -> Result<(), QueryError> {
        if !self.run_request(self.client().collection_exists(collection)).await? {
            if let Err(error) = self.run_request(self.client().create_collection(create)).await {
                // Another process may have been faster.
                if !self.run_request(self.client().collection_exists(collection)).await? {
                    return Err(error);
                }
            }
            tracing::info!(collection.name = collection, "search collection made");
        }
        for (field, kind) in indexes {
            let index = CreateFieldIndexCollectionBuilder::new(collection, *field, *kind).wait(true);
            self.run_request(self.client().create_field_index(index)).await?;
        }
        Ok(())
    }
}
