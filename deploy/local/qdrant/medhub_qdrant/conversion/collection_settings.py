"""The settings of a collection: as requested, and as reported to clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import qdrant_edge as edge
from qdrant_grpc import collections_pb2

from ..errors import invalid_argument, unsupported
from .quantization import read_quantization
from .scalars import read_enum, read_optional
from .vectors import DEFAULT_VECTOR, VectorKind, VectorSchema

#: Kilobytes of vectors above which the engine builds a graph over them, unless the client sets another threshold. It is
#: ten times that of a server: below it, comparing all vectors takes milliseconds, and building the graph takes minutes.
_INDEXING_THRESHOLD_KB = 200_000

#: The engine's parameters of such a graph, unless the client sets them.
_DEFAULT_HNSW: dict[str, Any] = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10_000}

#: The engine's thresholds for optimizing segments, unless the client sets them.
_DEFAULT_OPTIMIZERS: dict[str, Any] = {
    "deleted_threshold": 0.2,
    "vacuum_min_vector_number": 1_000,
    "default_segment_number": 0,
    "indexing_threshold": _INDEXING_THRESHOLD_KB,
}

#: Values of the smallest vectors that are stored in eight bits each, unless the client chooses a type. A search compares
#: all vectors below the threshold above, which takes a third of the time then; a vector is read with an error of up to
#: 0.003 for each value, and a score differs by less. Of short vectors, the error would be larger.
_COMPACT_SIZE = 128

#: Settings of the engine's own log, which its binding does not expose.
_WAL_CAPACITY_MB = 32
_WAL_SEGMENTS_AHEAD = 0

_DISTANCES = {
    collections_pb2.Cosine: edge.Distance.Cosine,
    collections_pb2.Euclid: edge.Distance.Euclid,
    collections_pb2.Dot: edge.Distance.Dot,
    collections_pb2.Manhattan: edge.Distance.Manhattan,
}
_DATATYPES = {
    collections_pb2.Default: None,
    collections_pb2.Float32: edge.VectorStorageDatatype.Float32,
    collections_pb2.Uint8: edge.VectorStorageDatatype.Uint8,
    collections_pb2.Float16: edge.VectorStorageDatatype.Float16,
    collections_pb2.Turbo4: edge.VectorStorageDatatype.Turbo4,
    collections_pb2.Turbo8: edge.VectorStorageDatatype.Turbo8,
    collections_pb2.Turbo16: edge.VectorStorageDatatype.Turbo16,
}
_MODIFIERS = {
    getattr(collections_pb2, "None"): None,
    collections_pb2.Idf: edge.Modifier.Idf,
}
_COMPARATORS = {collections_pb2.MaxSim: edge.MultiVectorComparator.MaxSim}


def read_vector_schema(settings: collections_pb2.CreateCollection) -> VectorSchema:
    """Reads the kinds of the vectors of a collection."""
    schema = {
        name: VectorKind(params.size, is_multi=params.HasField("multivector_config"))
        for name, params in _dense_params(settings).items()
    }
    schema.update((name, VectorKind(0, is_sparse=True)) for name in settings.sparse_vectors_config.map)
    return schema


def read_engine_config(settings: collections_pb2.CreateCollection) -> edge.EdgeConfig:
    """Reads the engine's settings for a new collection.

    Numbers of shards and replicas, and hints on memory and disk, do not change the responses of a single node and are
    not used.
    """
    if settings.HasField("strict_mode_config") and settings.strict_mode_config.enabled:
        raise unsupported("strict mode")
    if settings.metadata:
        raise unsupported("metadata of collections")
    if settings.sharding_method == collections_pb2.Custom:
        raise unsupported("shard keys")
    if not _dense_params(settings).keys().isdisjoint(settings.sparse_vectors_config.map):
        raise invalid_argument("a vector is both dense and sparse")
    return edge.EdgeConfig(
        vectors={
            name: _read_dense(params, is_quantized=settings.HasField("quantization_config"))
            for name, params in _dense_params(settings).items()
        },
        sparse_vectors={name: _read_sparse(params) for name, params in settings.sparse_vectors_config.map.items()},
        hnsw_config=_read_hnsw(settings),
        quantization_config=read_quantization(settings),
        optimizers=_read_optimizers(settings.optimizers_config),
    )


def write_settings(settings: collections_pb2.CreateCollection, config: collections_pb2.CollectionConfig) -> None:
    """Writes the settings of a collection as clients read them."""
    params = config.params
    params.shard_number = params.replication_factor = params.write_consistency_factor = 1
    params.on_disk_payload = True
    params.vectors_config.CopyFrom(settings.vectors_config)
    if settings.HasField("sparse_vectors_config"):
        params.sparse_vectors_config.CopyFrom(settings.sparse_vectors_config)
    for name, value in _DEFAULT_HNSW.items():
        setattr(config.hnsw_config, name, value)
    config.hnsw_config.MergeFrom(settings.hnsw_config)
    for name, value in _DEFAULT_OPTIMIZERS.items():
        setattr(config.optimizer_config, name, value)
    config.optimizer_config.MergeFrom(settings.optimizers_config)
    config.wal_config.wal_capacity_mb, config.wal_config.wal_segments_ahead = _WAL_CAPACITY_MB, _WAL_SEGMENTS_AHEAD
    if settings.HasField("quantization_config"):
        config.quantization_config.CopyFrom(settings.quantization_config)


def read_optimizer_values(diff: Any) -> dict[str, Any]:
    """Reads the thresholds for optimizing segments, by name."""
    return {name: getattr(diff, name) if diff.HasField(name) else value for name, value in _DEFAULT_OPTIMIZERS.items()}


def _dense_params(settings: collections_pb2.CreateCollection) -> Mapping[str, collections_pb2.VectorParams]:
    kind = settings.vectors_config.WhichOneof("config")
    if kind == "params":
        return {DEFAULT_VECTOR: settings.vectors_config.params}
    return settings.vectors_config.params_map.map if kind == "params_map" else {}


def _read_dense(params: collections_pb2.VectorParams, *, is_quantized: bool) -> edge.EdgeVectorParams:
    if params.size == 0:
        raise invalid_argument("the size of a vector is 0")
    if params.distance == collections_pb2.UnknownDistance:
        raise invalid_argument("a vector has no distance")
    multi = None
    if params.HasField("multivector_config"):
        multi = edge.MultiVectorConfig(read_enum(_COMPARATORS, params.multivector_config.comparator))
    return edge.EdgeVectorParams(
        size=params.size,
        distance=read_enum(_DISTANCES, params.distance),
        multivector_config=multi,
        datatype=read_enum(_DATATYPES, params.datatype) or _choose_datatype(params, is_quantized=is_quantized),
        quantization_config=read_quantization(params),
        hnsw_config=_read_hnsw(params),
    )


def _choose_datatype(
    params: collections_pb2.VectorParams, *, is_quantized: bool
) -> edge.VectorStorageDatatype | None:
    """Chooses the type of the values of a vector; `None` leaves it to the engine, which stores 32 bits."""
    is_plain = not (is_quantized or params.HasField("quantization_config") or params.HasField("multivector_config"))
    is_large = params.size >= _COMPACT_SIZE and params.distance == collections_pb2.Cosine
    return edge.VectorStorageDatatype.Turbo8 if is_plain and is_large else None


def _read_sparse(params: collections_pb2.SparseVectorParams) -> edge.EdgeSparseVectorParams:
    return edge.EdgeSparseVectorParams(
        full_scan_threshold=read_optional(params.index, "full_scan_threshold"),
        modifier=read_enum(_MODIFIERS, params.modifier),
        datatype=read_enum(_DATATYPES, params.index.datatype),
    )


def _read_hnsw(message: Any) -> edge.HnswIndexConfig | None:
    if not message.HasField("hnsw_config"):
        return None
    diff = message.hnsw_config
    values = {name: getattr(diff, name) if diff.HasField(name) else value for name, value in _DEFAULT_HNSW.items()}
    return edge.HnswIndexConfig(
        **values, max_indexing_threads=diff.max_indexing_threads, payload_m=read_optional(diff, "payload_m")
    )


def _read_optimizers(diff: collections_pb2.OptimizersConfigDiff) -> edge.EdgeOptimizersConfig:
    if diff.prevent_unoptimized:
        raise unsupported("prevent_unoptimized")
    max_segment_size = read_optional(diff, "max_segment_size")
    return edge.EdgeOptimizersConfig(**read_optimizer_values(diff), max_segment_size=max_segment_size)
