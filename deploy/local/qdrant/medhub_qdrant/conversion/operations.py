"""Changes of points.

The requests for single changes and the operations of a batch have the same fields, so one function reads both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import qdrant_edge as edge
from qdrant_grpc import points_pb2

from ..errors import invalid_argument
from .filters import read_filter, read_optional_filter
from .payloads import read_payload
from .scalars import PointId, read_enum, read_optional, read_point_id, read_point_ids, refuse_shard_key
from .vectors import VectorSchema, read_point_vectors

_UPDATE_MODES = {
    points_pb2.Upsert: edge.UpdateMode.Upsert,
    points_pb2.InsertOnly: edge.UpdateMode.InsertOnly,
    points_pb2.UpdateOnly: edge.UpdateMode.UpdateOnly,
}


@dataclass(frozen=True)
class ShardChange:
    """A change of a shard, ready to be applied."""

    operation: edge.UpdateOperation
    #: Number of points that it names; `None` if a filter chooses them.
    points: int | None
    #: Its approximate size on the wire, in bytes.
    size: int
    #: Whether it deletes points.
    deletes: bool = False


def read_upsert(message: Any, schema: VectorSchema) -> ShardChange:
    """Reads points to store, optionally under a condition."""
    refuse_shard_key(message)
    points = [
        edge.Point(read_point_id(point.id), read_point_vectors(point.vectors, schema), read_payload(point.payload))
        for point in message.points
    ]
    mode = read_optional(message, "update_mode")
    operation = edge.UpdateOperation.upsert_points(
        points,
        read_optional_filter(message, "update_filter"),
        None if mode is None else read_enum(_UPDATE_MODES, mode),
    )
    return ShardChange(operation, len(points), _estimate_size(message.points))


def read_update_vectors(message: Any, schema: VectorSchema) -> ShardChange:
    """Reads new vectors of existing points."""
    refuse_shard_key(message)
    points = [
        edge.PointVectors(read_point_id(point.id), read_point_vectors(point.vectors, schema))
        for point in message.points
    ]
    operation = edge.UpdateOperation.update_vectors(points, read_optional_filter(message, "update_filter"))
    return ShardChange(operation, len(points), _estimate_size(message.points))


def read_delete_vectors(message: Any, schema: VectorSchema) -> ShardChange:
    """Reads a removal of vectors by name."""
    names = message.vectors.names[:]
    for name in names:
        if name not in schema:
            raise invalid_argument(f"Not existing vector name error: {name}")
    return _read_selected(
        message,
        "points_selector",
        lambda ids: edge.UpdateOperation.delete_vectors(ids, names),
        lambda filter: edge.UpdateOperation.delete_vectors_by_filter(filter, names),
    )


def read_delete_points(message: Any, _: VectorSchema) -> ShardChange:
    """Reads a removal of points."""
    change = _read_selected(
        message, "points", edge.UpdateOperation.delete_points, edge.UpdateOperation.delete_points_by_filter
    )
    return replace(change, deletes=True)


def read_set_payload(message: Any, _: VectorSchema) -> ShardChange:
    """Reads values to merge into the existing payload."""
    payload, key = read_payload(message.payload), read_optional(message, "key")
    return _read_selected(
        message,
        "points_selector",
        lambda ids: edge.UpdateOperation.set_payload(ids, payload, key),
        lambda filter: edge.UpdateOperation.set_payload_by_filter(filter, payload, key),
    )


def read_overwrite_payload(message: Any, _: VectorSchema) -> ShardChange:
    """Reads a payload that replaces the existing one."""
    payload, key = read_payload(message.payload), read_optional(message, "key")
    return _read_selected(
        message,
        "points_selector",
        lambda ids: edge.UpdateOperation.overwrite_payload(ids, payload, key),
        lambda filter: edge.UpdateOperation.overwrite_payload_by_filter(filter, payload, key),
    )


def read_delete_payload(message: Any, _: VectorSchema) -> ShardChange:
    """Reads a removal of values of the payload."""
    keys = message.keys[:]
    return _read_selected(
        message,
        "points_selector",
        lambda ids: edge.UpdateOperation.delete_payload(ids, keys),
        lambda filter: edge.UpdateOperation.delete_payload_by_filter(filter, keys),
    )


def read_clear_payload(message: Any, _: VectorSchema) -> ShardChange:
    """Reads a removal of the whole payload."""
    return _read_selected(
        message, "points", edge.UpdateOperation.clear_payload, edge.UpdateOperation.clear_payload_by_filter
    )


_READERS: dict[str, Callable[[Any, VectorSchema], ShardChange]] = {
    "upsert": read_upsert,
    "delete_points": read_delete_points,
    "set_payload": read_set_payload,
    "overwrite_payload": read_overwrite_payload,
    "delete_payload": read_delete_payload,
    "clear_payload": read_clear_payload,
    "update_vectors": read_update_vectors,
    "delete_vectors": read_delete_vectors,
}


def read_operation(message: points_pb2.PointsUpdateOperation, schema: VectorSchema) -> ShardChange:
    """Reads one operation of a batch."""
    kind = message.WhichOneof("operation")
    if kind is None:
        raise invalid_argument("an operation is empty")
    operation = getattr(message, kind)
    # Older clients send only the selector.
    if kind == "delete_deprecated":
        return read_delete_points(points_pb2.DeletePoints(points=operation), schema)
    if kind == "clear_payload_deprecated":
        return read_clear_payload(points_pb2.ClearPayloadPoints(points=operation), schema)
    return _READERS[kind](operation, schema)


def _estimate_size(points: Sequence[Any]) -> int:
    """Estimates the size of points on the wire from the first: summing all takes longer than parsing them."""
    return points[0].ByteSize() * len(points) if points else 0


def _read_selected(
    message: Any,
    field: str,
    by_ids: Callable[[list[PointId]], edge.UpdateOperation],
    by_filter: Callable[[edge.Filter], edge.UpdateOperation],
) -> ShardChange:
    """Reads a change of the points that a selector names."""
    refuse_shard_key(message)
    selector = getattr(message, field)
    kind = selector.WhichOneof("points_selector_one_of")
    if kind == "points":
        ids = read_point_ids(selector.points.ids)
        return ShardChange(by_ids(ids), len(ids), message.ByteSize())
    if kind == "filter":
        return ShardChange(by_filter(read_filter(selector.filter)), None, message.ByteSize())
    raise invalid_argument("the operation names no points")
