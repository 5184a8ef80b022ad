"""The filters of searches, of which many searches have the same."""

from __future__ import annotations

from dataclasses import dataclass

import qdrant_edge as edge
from qdrant_grpc import qdrant_common_pb2

from .conversion.filters import read_filter

#: Maximum number of filters that are remembered, and the size in bytes of the largest of them.
_MAX_FILTERS = 64
_MAX_FILTER_BYTES = 4_096


@dataclass
class _KnownFilter:
    filter: edge.Filter
    #: Number of changes of the collection when a search last had the filter.
    change_count: int
    #: Whether it matched every point then; `None` if that was not counted.
    matches_all: bool | None = None


class RepeatedFilters:
    """Reads the filters of searches in one collection, and leaves out those that match every point.

    The engine tests a filter for each vector that it compares, which takes longer than the comparison. Whether a filter
    matches every point is counted when a second search has it and the collection has not changed in between, so that a
    search between two changes does not pay for it.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, _KnownFilter] = {}

    def read(
        self, message: qdrant_common_pb2.Filter, shard: edge.EdgeShard, change_count: int
    ) -> edge.Filter | None:
        """Reads a filter; `None` if it matches every point."""
        key = message.SerializeToString()
        if len(key) > _MAX_FILTER_BYTES:
            return read_filter(message)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MAX_FILTERS:
                self._known.clear()
            known = self._known[key] = _KnownFilter(read_filter(message), change_count)
        elif known.change_count != change_count:
            known.change_count, known.matches_all = change_count, None
        elif known.matches_all is None:
            known.matches_all = _count(shard, known.filter) == _count(shard, None)
        return None if known.matches_all else known.filter


def _count(shard: edge.EdgeShard, filter: edge.Filter | None) -> int:
    return shard.count(edge.CountRequest(True, filter))
