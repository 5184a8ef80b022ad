//! Creates the collection of search units and its indexes.

use qdrant_client::qdrant::{
    CreateCollectionBuilder, Distance, FieldType, Modifier, MultiVectorComparator, MultiVectorConfigBuilder,
    SparseVectorParamsBuilder, SparseVectorsConfigBuilder, VectorParamsBuilder, VectorsConfigBuilder,
};

use crate::{
    QueryError,
    opportunity_search::{
        OpportunitySearch,
        point::{DENSE, SPARSE},
    },
};

/// Payload fields that filters use.
const INDEXES: &[(&str, FieldType)] = &[
    ("tenant_id", FieldType::Keyword),
    ("kind", FieldType::Keyword),
    ("bucket", FieldType::Integer),
    ("text_of", FieldType::Keyword),
];

impl OpportunitySearch {
    /// Creates the collection of tenants' texts and its indexes. Idempotent.
    pub(in crate::opportunity_search) async fn migrate_tenant_collection(&self) -> Result<(), QueryError> {
        let (mut dense, mut sparse) = (VectorsConfigBuilder::default(), SparseVectorsConfigBuilder::default());
        let size = self.embedder().dimension() as u64;
        let passages = VectorParamsBuilder::new(size, Distance::Cosine)
            .multivector_config(MultiVectorConfigBuilder::new(MultiVectorComparator::MaxSim));
        dense.add_named_vector_params(DENSE, passages);
        sparse.add_named_vector_params(SPARSE, SparseVectorParamsBuilder::default().modifier(Modifier::Idf));
        let create =
            CreateCollectionBuilder::new(self.tenant_collection()).vectors_config(dense).sparse_vectors_config(sparse);
        self.qdrant().ensure_collection(self.tenant_collection(), create, INDEXES).await
    }
}
