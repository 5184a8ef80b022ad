"""Writes points and facet values into responses. `messages` are repeated fields of responses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import qdrant_edge as edge
from qdrant_grpc import points_pb2

from .payloads import write_payload
from .scalars import write_point_id
from .vectors import write_vectors


def write_records(records: Iterable[edge.Record], messages: Any) -> None:
    """Appends points that were requested by identifier or page."""
    for record in records:
        _write_point(record, messages.add())


def write_scored_points(points: Iterable[edge.ScoredPoint], messages: Any) -> None:
    """Appends points that a search found."""
    add = messages.add
    for point in points:
        message = add()
        message.score = point.score
        message.version = point.version
        _write_point(point, message)


def write_facet_hits(hits: Iterable[edge.FacetHit], messages: Any) -> None:
    """Appends the values of a facet."""
    for hit in hits:
        message = messages.add()
        message.count = hit.count
        value: Any = hit.value
        if isinstance(value, bool):
            message.value.bool_value = value
        elif isinstance(value, int):
            message.value.integer_value = value
        else:
            message.value.string_value = str(value)


def _write_point(
    point: edge.Record | edge.ScoredPoint, message: points_pb2.RetrievedPoint | points_pb2.ScoredPoint
) -> None:
    write_point_id(point.id, message.id)
    # A search returns hundreds of points of which only the identifier and the score are wanted.
    payload, vector, order = point.payload, point.vector, point.order_value
    if payload:
        write_payload(payload, message.payload)
    if vector is not None:
        write_vectors(vector, message.vectors)
    if isinstance(order, int):
        message.order_value.int = order
    elif order is not None:
        message.order_value.float = order
