//! Vectors on their way in, checked against the collection they go to.

use std::collections::HashMap;

use qdrant_client::qdrant::{self, vector::Vector as Kind, vectors::VectorsOptions};
use qdrant_edge::{
    DEFAULT_VECTOR_NAME, EdgeConfig, SparseVector, TypedMultiDenseVector, VectorInternal, VectorPersisted,
    VectorStructPersisted,
};
use tonic::Status;

use crate::qdrant::refusal::{unsupported, wrong};

/// The vectors of a point to be stored.
pub(crate) fn to_store(vectors: Option<qdrant::Vectors>, config: &EdgeConfig) -> Result<VectorStructPersisted, Status> {
    let named = match vectors.and_then(|vectors| vectors.vectors_options) {
        None => HashMap::new(),
        Some(VectorsOptions::Vector(vector)) => HashMap::from([(DEFAULT_VECTOR_NAME.to_owned(), vector)]),
        Some(VectorsOptions::Vectors(named)) => named.vectors,
    };
    let mut stored = HashMap::with_capacity(named.len());
    for (name, vector) in named {
        let vector = persisted(internal(vector)?);
        check(&name, &vector, config)?;
        stored.insert(name, vector);
    }
    Ok(VectorStructPersisted::Named(stored))
}

/// One vector.
pub(crate) fn internal(vector: qdrant::Vector) -> Result<VectorInternal, Status> {
    match vector.vector {
        Some(Kind::Dense(dense)) => Ok(VectorInternal::Dense(dense.data)),
        Some(Kind::Sparse(sparse)) => self::sparse(sparse),
        Some(Kind::MultiDense(multi)) => self::multi(multi),
        Some(Kind::Document(_) | Kind::Image(_) | Kind::Object(_)) => Err(no_inference()),
        None => older(vector),
    }
}

/// The form of clients before 1.16.
#[expect(deprecated, reason = "older clients still send these fields")]
fn older(vector: qdrant::Vector) -> Result<VectorInternal, Status> {
    match (vector.indices, vector.vectors_count) {
        (Some(indices), _) => sparse(qdrant::SparseVector { values: vector.data, indices: indices.data }),
        (None, None) => Ok(VectorInternal::Dense(vector.data)),
        (None, Some(count)) => {
            let dim = usize::try_from(count).ok().and_then(|count| vector.data.len().checked_div(count)).unwrap_or(0);
            TypedMultiDenseVector::try_from_flatten(vector.data, dim).map(VectorInternal::MultiDense).map_err(wrong)
        }
    }
}

/// A sparse vector.
pub(crate) fn sparse(vector: qdrant::SparseVector) -> Result<VectorInternal, Status> {
    SparseVector::new(vector.indices, vector.values).map(VectorInternal::Sparse).map_err(wrong)
}

/// A multivector.
pub(crate) fn multi(vector: qdrant::MultiDenseVector) -> Result<VectorInternal, Status> {
    let rows: Vec<Vec<f32>> = vector.vectors.into_iter().map(|row| row.data).collect();
    TypedMultiDenseVector::try_from_matrix(rows).map(VectorInternal::MultiDense).map_err(wrong)
}

/// Texts and images are embedded by servers that carry models.
pub(crate) fn no_inference() -> Status {
    unsupported("inference (documents, images and objects in place of vectors)")
}

fn persisted(vector: VectorInternal) -> VectorPersisted {
    match vector {
        VectorInternal::Dense(dense) => VectorPersisted::Dense(dense),
        VectorInternal::Sparse(sparse) => VectorPersisted::Sparse(sparse),
        VectorInternal::MultiDense(multi) => VectorPersisted::MultiDense(multi.into_multi_vectors()),
    }
}

/// A batch with a vector that does not fit must change nothing, so every vector is checked before the first is stored.
fn check(name: &str, vector: &VectorPersisted, config: &EdgeConfig) -> Result<(), Status> {
    let dense = config.vectors.get(name);
    let sparse = config.sparse_vectors.contains_key(name);
    if dense.is_none() && !sparse {
        return Err(wrong(format!("Not existing vector name error: {name}")));
    }
    let multi = dense.is_some_and(|params| params.multivector_config.is_some());
    let expected = dense.map(|params| params.size);
    let fits = |received: usize| match expected {
        Some(expected) if expected != received => {
            Err(wrong(format!("Vector dimension error: expected dim: {expected}, got {received}")))
        }
        Some(_) | None => Ok(()),
    };
    match vector {
        VectorPersisted::Dense(_) | VectorPersisted::MultiDense(_) if sparse => {
            Err(wrong(format!("the vector `{name}` is sparse")))
        }
        VectorPersisted::Sparse(_) if sparse => Ok(()),
        VectorPersisted::Sparse(_) => Err(wrong(format!("the vector `{name}` is not sparse"))),
        VectorPersisted::MultiDense(_) if !multi => Err(wrong(format!("the vector `{name}` is no multivector"))),
        VectorPersisted::Dense(vector) => fits(vector.len()),
        VectorPersisted::MultiDense(rows) => rows.iter().try_for_each(|row| fits(row.len())),
    }
}
