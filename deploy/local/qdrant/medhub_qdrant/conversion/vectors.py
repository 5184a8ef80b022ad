"""Vectors, checked against the schema of their collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import qdrant_edge
from qdrant_edge import SparseVector
from qdrant_grpc import points_pb2

from ..errors import RequestError, invalid_argument, unsupported

#: A dense, multi or sparse vector as the engine takes it.
Vector = list[float] | list[list[float]] | SparseVector

#: All vectors of a point as the engine takes them; the list is the only vector of a collection without names.
PointVectors = dict[str, Vector] | Vector

#: Name of the vector in a collection whose vectors have no names.
DEFAULT_VECTOR = ""


@dataclass(frozen=True)
class VectorKind:
    """The kind of the vectors of one name in a collection; `size` is that of a row, and 0 for sparse vectors."""

    size: int
    is_multi: bool = False
    is_sparse: bool = False


#: The vectors of a collection by name.
VectorSchema = Mapping[str, VectorKind]


def read_point_vectors(vectors: points_pb2.Vectors, schema: VectorSchema) -> PointVectors:
    """Reads the vectors of a point to store.

    A batch with an invalid vector must change nothing, but the engine stores the points before it, so every vector is
    checked here. After a sparse vector with more indices than values the engine could not even open the collection
    again.
    """
    kind = vectors.WhichOneof("vectors_options")
    if kind == "vectors":
        named = vectors.vectors.vectors
        return {name: _read_checked(name, named[name], schema) for name in named}
    if kind == "vector":
        vector = _read_checked(DEFAULT_VECTOR, vectors.vector, schema)
        # The binding converts a plain list faster than a dictionary with one entry.
        is_plain = isinstance(vector, list) and not schema[DEFAULT_VECTOR].is_multi
        return vector if is_plain else {DEFAULT_VECTOR: vector}
    return {}


def read_vector(message: points_pb2.Vector) -> Vector:
    """Reads a vector in any of the forms that clients send."""
    kind = message.WhichOneof("vector")
    if kind == "dense":
        return message.dense.data[:]
    if kind == "sparse":
        return read_sparse(message.sparse.indices[:], message.sparse.values[:])
    if kind == "multi_dense":
        return read_multi(message.multi_dense)
    if kind is not None:
        raise refuse_inference()
    return _read_old_vector(message)


def read_sparse(indices: list[int], values: list[float]) -> SparseVector:
    """Reads a sparse vector."""
    if len(indices) != len(values):
        raise invalid_argument("a sparse vector has different numbers of indices and values")
    if len(set(indices)) != len(indices):
        raise invalid_argument("a sparse vector has an index twice")
    return SparseVector(indices, values)


def read_multi(message: points_pb2.MultiDenseVector) -> list[list[float]]:
    """Reads a multivector."""
    return [row.data[:] for row in message.vectors]


def refuse_inference() -> RequestError:
    """The error for a document, an image or an object in place of a vector."""
    return unsupported("inference (documents, images and objects in place of vectors)")


def check_vector(name: str, vector: Vector, schema: VectorSchema) -> None:
    """Refuses a vector that does not match the schema. A dense vector is accepted as a multivector of one row."""
    kind = schema.get(name)
    if kind is None:
        raise invalid_argument(f"Not existing vector name error: {name}")
    if isinstance(vector, SparseVector):
        if not kind.is_sparse:
            raise invalid_argument(f"the vector `{name}` is not sparse")
        return
    if kind.is_sparse:
        raise invalid_argument(f"the vector `{name}` is sparse")
    if vector and isinstance(vector[0], list):
        if not kind.is_multi:
            raise invalid_argument(f"the vector `{name}` is not a multivector")
        for row in vector:
            _check_size(row, kind)
    elif kind.is_multi and not vector:
        raise invalid_argument(f"the multivector `{name}` has no rows")
    else:
        _check_size(vector, kind)


def write_vectors(vectors: PointVectors, message: points_pb2.VectorsOutput) -> None:
    """Writes the vectors of a point that the engine returned."""
    if isinstance(vectors, dict):
        if vectors.keys() == {DEFAULT_VECTOR}:
            write_vector(vectors[DEFAULT_VECTOR], message.vector)
            return
        message.vectors.SetInParent()
        for name, vector in vectors.items():
            write_vector(vector, message.vectors.vectors[name])
    else:
        write_vector(vectors, message.vector)


def _read_checked(name: str, message: points_pb2.Vector, schema: VectorSchema) -> Vector:
    vector = read_vector(message)
    check_vector(name, vector, schema)
    return vector


def _read_old_vector(message: points_pb2.Vector) -> Vector:
    """Reads the form that clients before 1.16 send."""
    data = message.data[:]
    if message.HasField("indices"):
        return read_sparse(message.indices.data[:], data)
    if not message.HasField("vectors_count"):
        return data
    rows = message.vectors_count
    if rows == 0 or not data or len(data) % rows:
        raise invalid_argument(f"a multivector of {len(data)} values cannot have {rows} rows")
    size = len(data) // rows
    return [data[start : start + size] for start in range(0, len(data), size)]


def _check_size(vector: list[float], kind: VectorKind) -> None:
    if len(vector) != kind.size:
        raise invalid_argument(f"Vector dimension error: expected dim: {kind.size}, got {len(vector)}")


def write_vector(vector: Vector, message: points_pb2.VectorInput | points_pb2.VectorOutput) -> None:
    """Writes a vector of any kind."""
    if isinstance(vector, qdrant_edge.SparseVector):
        message.sparse.SetInParent()
        message.sparse.indices.extend(vector.indices)
        message.sparse.values.extend(vector.values)
    elif vector and isinstance(vector[0], list):
        for row in vector:
            message.multi_dense.vectors.add().data.extend(row)
    else:
        message.dense.data.extend(vector)
