"""The parts of a point that a response contains."""

from __future__ import annotations

from typing import Any

import qdrant_edge as edge


def read_payload_selector(request: Any, *, default: bool) -> Any:
    """Reads which parts of the payload a request wants; without a selector, all or nothing by `default`."""
    kind = request.with_payload.WhichOneof("selector_options") if request.HasField("with_payload") else None
    if kind is None:
        return default
    if kind == "enable":
        return request.with_payload.enable
    fields = getattr(request.with_payload, kind).fields[:]
    if kind == "include":
        # The engine would read the whole payload of each point in order to leave out all of it.
        return edge.PayloadSelector.Include(fields) if fields else False
    return edge.PayloadSelector.Exclude(fields)


def read_vector_selector(request: Any) -> bool | list[str]:
    """Reads the names of the vectors that a request wants, or whether it wants all; none by default."""
    kind = request.with_vectors.WhichOneof("selector_options") if request.HasField("with_vectors") else None
    if kind is None:
        return False
    return request.with_vectors.enable if kind == "enable" else request.with_vectors.include.names[:]
