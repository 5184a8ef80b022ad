//! Points on their way out.

use std::collections::HashMap;

use qdrant_client::{
    Payload as ClientPayload,
    qdrant::{
        self, order_value::Variant, point_id::PointIdOptions, vector_output::Vector, vectors_output::VectorsOptions,
    },
};
use qdrant_edge::{
    DEFAULT_VECTOR_NAME, FacetValue, FacetValueHit, OrderValue, Payload, PointId, Record, ScoredPoint, VectorInternal,
    VectorStructInternal, external::uuid::Uuid,
};

/// A point's id.
pub(crate) fn point_id(id: PointId) -> qdrant::PointId {
    let options = match id {
        PointId::NumId(number) => PointIdOptions::Num(number),
        PointId::Uuid(uuid) => PointIdOptions::Uuid(uuid.to_string()),
    };
    qdrant::PointId { point_id_options: Some(options) }
}

/// A point that was asked for by id or page.
pub(crate) fn retrieved(record: Record) -> qdrant::RetrievedPoint {
    qdrant::RetrievedPoint {
        id: Some(point_id(record.id)),
        payload: payload(record.payload),
        vectors: record.vector.map(vectors),
        shard_key: None,
        order_value: record.order_value.map(order_value),
    }
}

/// A point that was found.
pub(crate) fn scored(point: ScoredPoint) -> qdrant::ScoredPoint {
    qdrant::ScoredPoint {
        id: Some(point_id(point.id)),
        payload: payload(point.payload),
        score: point.score,
        version: point.version,
        vectors: point.vector.map(vectors),
        shard_key: None,
        order_value: point.order_value.map(order_value),
    }
}

/// One value of a facet and how many points have it.
pub(crate) fn facet(hit: FacetValueHit) -> qdrant::FacetHit {
    use qdrant::facet_value::Variant;
    let variant = match hit.value {
        FacetValue::Keyword(text) => Variant::StringValue(text),
        FacetValue::Int(number) => Variant::IntegerValue(number),
        FacetValue::Uuid(number) => Variant::StringValue(Uuid::from_u128(number).to_string()),
        FacetValue::Bool(flag) => Variant::BoolValue(flag),
    };
    qdrant::FacetHit { value: Some(qdrant::FacetValue { variant: Some(variant) }), count: hit.count as u64 }
}

fn payload(payload: Option<Payload>) -> HashMap<String, qdrant::Value> {
    payload.map(|payload| ClientPayload::from(payload.0).into()).unwrap_or_default()
}

fn order_value(value: OrderValue) -> qdrant::OrderValue {
    let variant = match value {
        OrderValue::Int(number) => Variant::Int(number),
        OrderValue::Float(number) => Variant::Float(number),
    };
    qdrant::OrderValue { variant: Some(variant) }
}

fn vectors(vectors: VectorStructInternal) -> qdrant::VectorsOutput {
    let options = match vectors {
        VectorStructInternal::Single(dense) => VectorsOptions::Vector(output(VectorInternal::Dense(dense))),
        VectorStructInternal::MultiDense(multi) => VectorsOptions::Vector(output(VectorInternal::MultiDense(multi))),
        VectorStructInternal::Named(mut named) => match named.remove(DEFAULT_VECTOR_NAME) {
            Some(only) if named.is_empty() => VectorsOptions::Vector(output(only)),
            unnamed => {
                named.extend(unnamed.map(|vector| (DEFAULT_VECTOR_NAME.to_owned(), vector)));
                let vectors = named.into_iter().map(|(name, vector)| (name, output(vector))).collect();
                VectorsOptions::Vectors(qdrant::NamedVectorsOutput { vectors })
            }
        },
    };
    qdrant::VectorsOutput { vectors_options: Some(options) }
}

fn output(vector: VectorInternal) -> qdrant::VectorOutput {
    let vector = match vector {
        VectorInternal::Dense(data) => Vector::Dense(qdrant::DenseVector { data }),
        VectorInternal::Sparse(sparse) => {
            Vector::Sparse(qdrant::SparseVector { values: sparse.values, indices: sparse.indices })
        }
        VectorInternal::MultiDense(multi) => {
            let rows = multi.into_multi_vectors().into_iter().map(|data| qdrant::DenseVector { data });
            Vector::MultiDense(qdrant::MultiDenseVector { vectors: rows.collect() })
        }
    };
    qdrant::VectorOutput { vector: Some(vector), ..qdrant::VectorOutput::default() }
}
