//! Converts points to and from the client's types: the two vectors, and the fields that writes depend on.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use chrono::{DateTime, SecondsFormat, Utc};
use qdrant_client::{
    Payload,
    qdrant::{NamedVectors, PointStruct, RetrievedPoint, Value, Vector, VectorsOutput, vector_output},
};
use serde::Deserialize;

use super::{
    embedding::EmbeddingModelId,
    opportunity_document::{OpportunityDocument, PointPayload, point_id},
};
use crate::storage::qdrant::to_point_id;

/// Name of the vector of a notice's meaning.
pub(super) const DENSE: &str = "dense";
/// Name of the vector of the words and numbers in it.
pub(super) const SPARSE: &str = "sparse";

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

/// The point to write for a document, in the form in which it is sent.
pub(super) fn new_point(
    document: &OpportunityDocument,
    awarded: bool,
    model: &EmbeddingModelId,
    dense: Vec<f32>,
) -> PointStruct {
    let (indices, weights) = document.terms.to_weights();
    let vectors = NamedVectors::default()
        .add_vector(DENSE, Vector::new_dense(dense))
        .add_vector(SPARSE, Vector::new_sparse(indices, weights));
    PointStruct {
        id: Some(to_point_id(point_id(&document.payload.id))),
        vectors: Some(vectors.into()),
        payload: payload_fields(&document.payload, awarded, model),
    }
}

/// The fields of a payload, as `PointPayload` is serialized. Going through JSON took longer than embedding the text.
fn payload_fields(payload: &PointPayload, awarded: bool, model: &EmbeddingModelId) -> HashMap<String, Value> {
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let required: [(&str, Value); 14] = [
        ("id", payload.id.as_str().into()),
        ("tenant_id", payload.tenant_id.as_str().into()),
        ("sequence", i64::try_from(payload.sequence).unwrap_or(i64::MAX).into()),
        ("title", payload.title.as_str().into()),
        ("notice_type", payload.notice_type.as_str().into()),
        ("agency_code", payload.agency_code.as_str().into()),
        ("agency_name", payload.agency_name.as_str().into()),
        ("naics_prefixes", payload.naics_prefixes.clone().into()),
        ("posted_at", time(payload.posted_at).into()),
        ("awarded", awarded.into()),
        ("bucket", i64::from(payload.bucket).into()),
        ("content_hash", payload.content_hash.as_str().into()),
        ("model", model.name.into()),
        ("model_version", model.version.into()),
    ];
    let optional: [(&str, Option<Value>); 3] = [
        ("naics", payload.naics.as_deref().map(Value::from)),
        ("set_aside", payload.set_aside.as_deref().map(Value::from)),
        ("response_deadline", payload.response_deadline.map(|at| time(at).into())),
    ];
    let optional = optional.into_iter().filter_map(|(name, value)| Some((name, value?)));
    required.into_iter().chain(optional).map(|(name, value)| (name.to_owned(), value)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{details, discovered, filing, recorded_event};

    #[test]
    fn the_fields_are_those_of_the_serialized_payload() {
        let event = recorded_event(7, &discovered("Lifts"));
        let mut payload = OpportunityDocument::from_event(&event, &filing("n1"), details("Lifts")).payload;
        let model = EmbeddingModelId { name: "a model", version: "2" };
        for is_complete in [true, false] {
            payload.set_aside = is_complete.then(|| "SBA".to_owned());
            payload.response_deadline = is_complete.then_some(payload.posted_at);
            payload.naics = payload.naics.filter(|_| is_complete);
            payload.naics_prefixes.truncate(if is_complete { 9 } else { 0 });
            let written = PointPayload {
                awarded: true,
                model: model.name.to_owned(),
                model_version: model.version.to_owned(),
                ..payload.clone()
            };
            let serialized = Payload::try_from(serde_json::to_value(&written).unwrap()).unwrap();
            assert_eq!(payload_fields(&payload, true, &model), HashMap::from(serialized));
        }
    }
}
