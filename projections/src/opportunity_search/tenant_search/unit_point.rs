//! Converts search units to points in the client's types.

use std::collections::HashMap;

use qdrant_client::qdrant::{NamedVectors, PointStruct, Value, Vector};
use uuid::Uuid;

use super::search_unit::{ChunkSet, SearchUnit, UnitPayload};
use crate::{
    opportunity_search::{
        embedding::EmbeddingModelId,
        point::{DENSE, SPARSE},
    },
    storage::qdrant::to_point_id,
};

/// The point to write for a unit; `vectors` are those of its passages.
pub(super) fn new_unit_point(
    id: Uuid,
    unit: &SearchUnit,
    model: &EmbeddingModelId,
    vectors: Vec<Vec<f32>>,
) -> PointStruct {
    let mut named = NamedVectors::default();
    // A deleted unit has no vectors, so that no query finds it.
    if !vectors.is_empty() {
        let (indices, weights) = unit.terms.to_weights();
        named = named
            .add_vector(DENSE, Vector::new_multi(vectors))
            .add_vector(SPARSE, Vector::new_sparse(indices, weights));
    }
    PointStruct {
        id: Some(to_point_id(id)),
        vectors: Some(named.into()),
        payload: payload_fields(&unit.payload, model),
    }
}

/// The fields of a payload, as `UnitPayload` is serialized, with the model. They are not made from its JSON, which takes
/// several times as long.
fn payload_fields(payload: &UnitPayload, model: &EmbeddingModelId) -> HashMap<String, Value> {
    let required: [(&str, Value); 12] = [
        ("kind", payload.kind.name().into()),
        ("tenant_id", payload.tenant_id.as_str().into()),
        ("id", payload.id.as_str().into()),
        ("part", payload.part.as_str().into()),
        ("sequence", i64::try_from(payload.sequence).unwrap_or(i64::MAX).into()),
        ("heading", payload.heading.as_str().into()),
        ("passages", payload.passages.clone().into()),
        ("gone", payload.gone.into()),
        ("bucket", i64::from(payload.bucket).into()),
        ("content_hash", payload.content_hash.as_str().into()),
        ("model", model.name.into()),
        ("model_version", model.version.into()),
    ];
    let optional: [(&str, Option<Value>); 3] = [
        ("page", payload.page.map(|page| i64::from(page).into())),
        ("text_of", payload.text_of.as_deref().map(Value::from)),
        ("chunks", payload.chunks.as_ref().map(ChunkSet::to_value)),
    ];
    let optional = optional.into_iter().filter_map(|(name, value)| Some((name, value?)));
    required.into_iter().chain(optional).map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use qdrant_client::Payload;

    use super::{
        super::{search_unit::SearchUnitKind, text_chunk::TextChunk},
        *,
    };
    use crate::fixture::{discovered, recorded_event};

    #[test]
    fn the_fields_are_those_of_the_serialized_payload() {
        let event = recorded_event(7, &discovered("Lifts"));
        let model = EmbeddingModelId { name: "a model", version: "2" };
        let mut whole = SearchUnit::whole_text(&event, "text", "acme/1/hash");
        let chunk = whole.to_chunk(3, &TextChunk { page: 2, text: "Beds 12." });
        whole.payload.chunks.iter_mut().for_each(|chunks| chunks.totals.add_chunk(&chunk.payload));
        let resource = SearchUnit::from_event(&event, SearchUnitKind::Resource, "whole", "Lifts", "For patients.");
        let deleted = SearchUnit::deleted(&event, SearchUnitKind::Proposal, "title");
        for unit in [whole, chunk, resource, deleted] {
            let written = UnitPayload {
                model: model.name.to_owned(),
                model_version: model.version.to_owned(),
                ..unit.payload.clone()
            };
            let serialized = Payload::try_from(serde_json::to_value(&written).unwrap()).unwrap();
            assert_eq!(payload_fields(&unit.payload, &model), HashMap::from(serialized));
        }
    }
}
