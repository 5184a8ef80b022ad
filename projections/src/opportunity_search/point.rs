//! Converts points to and from the client's types: the two vectors, and the fields that writes depend on.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use qdrant_client::{
    Payload,
    qdrant::{NamedVectors, PointStruct, RetrievedPoint, Value, Vector, VectorsOutput, vector_output},
};
use serde::Deserialize;

use super::{
    embedding::EmbeddingModelId,
    opportunity_document::{OpportunityDocument, PointPayload, point_id},
    terms::TermCounts,
};
use crate::{
    QueryError,
    storage::qdrant::{to_point_id, unreadable_error},
};

/// Name of the vector of a notice's meaning.
pub(super) const DENSE: &str = "dense";
/// Name of the vector of the words and numbers in it.
pub(super) const SPARSE: &str = "sparse";

/// A point to write.
pub(super) struct NewPoint {
    pub(super) payload: PointPayload,
    pub(super) dense: Vec<f32>,
    pub(super) terms: TermCounts,
}

/// The fields of a stored point that a write depends on. A missing field has its default, so that the point is
/// overwritten.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct StoredPoint {
    pub(super) sequence: u64,
    pub(super) awarded: bool,
    content_hash: String,
    model: String,
    model_version: String,
}

impl StoredPoint {
    /// The payload fields to load.
    pub(super) const FIELDS: [&'static str; 5] = ["sequence", "awarded", "content_hash", "model", "model_version"];

    /// Decodes a payload; an invalid one is treated like a missing point.
    pub(super) fn from_payload(payload: HashMap<String, Value>) -> Self {
        Payload::from(payload).deserialize().unwrap_or_default()
    }

    /// Whether the point's vector was made from the same text by the same model.
    pub(super) fn has_vector_of(&self, document: &OpportunityDocument, model: &EmbeddingModelId) -> bool {
        self.content_hash == document.payload.content_hash
            && self.model == model.name
            && self.model_version == model.version
    }
}

impl NewPoint {
    pub(super) fn to_point(&self) -> Result<PointStruct, QueryError> {
        let payload = serde_json::to_value(&self.payload).map_err(unreadable_error)?;
        let payload = Payload::try_from(payload).map_err(unreadable_error)?;
        let (indices, weights) = self.terms.to_weights();
        let vectors = NamedVectors::default()
            .add_vector(DENSE, Vector::new_dense(self.dense.clone()))
            .add_vector(SPARSE, Vector::new_sparse(indices, weights));
        Ok(PointStruct::new(to_point_id(point_id(&self.payload.id)), vectors, payload))
    }
}

/// The dense vector of a point; empty if it has none.
pub(super) fn dense_vector(point: &RetrievedPoint) -> Vec<f32> {
    match point.vectors.as_ref().and_then(|vectors| VectorsOutput::get_vector_by_name(vectors, DENSE)) {
        Some(vector_output::Vector::Dense(dense)) => dense.data,
        Some(vector_output::Vector::Sparse(_) | vector_output::Vector::MultiDense(_)) | None => vec![],
    }
}

/// The dense vectors of a point's passages; empty if it has none.
pub(super) fn passage_vectors(point: &RetrievedPoint) -> Vec<Vec<f32>> {
    match point.vectors.as_ref().and_then(|vectors| VectorsOutput::get_vector_by_name(vectors, DENSE)) {
        Some(vector_output::Vector::MultiDense(passages)) => {
            passages.vectors.into_iter().map(|passage| passage.data).collect()
        }
        Some(vector_output::Vector::Dense(_) | vector_output::Vector::Sparse(_)) | None => vec![],
    }
}

/// The term dimensions of a point in ascending order; empty if it has none.
pub(super) fn term_dimensions(point: &RetrievedPoint) -> Vec<u32> {
    match point.vectors.as_ref().and_then(|vectors| VectorsOutput::get_vector_by_name(vectors, SPARSE)) {
        Some(vector_output::Vector::Sparse(mut sparse)) => {
            sparse.indices.sort_unstable();
            sparse.indices
        }
        Some(vector_output::Vector::Dense(_) | vector_output::Vector::MultiDense(_)) | None => vec![],
    }
}

pub(super) fn hash_terms(terms: &[u32]) -> u64 {
    let mut hasher = DefaultHasher::new();
    terms.hash(&mut hasher);
    hasher.finish()
}
