"""Decides when a shard is optimized."""

from __future__ import annotations

from dataclasses import dataclass

import qdrant_edge as edge
from qdrant_grpc import collections_pb2

from .conversion.collection_settings import read_optimizer_values
from .conversion.vectors import VectorSchema


@dataclass(frozen=True)
class ChangeCounts:
    """Numbers of points that changed since the last optimization."""

    #: Stored points that no graph covers yet.
    unindexed: int = 0
    #: Deleted points and old versions of changed points, which still occupy space.
    stale: int = 0


class OptimizationTrigger:
    """Counts changed points.

    The engine does not report whether it has anything to optimize, and an optimization begins with a copy of the shard.
    This class applies the engine's own rules to estimates, which are lost with the process: the engine rebuilds a
    segment if a share of it is deleted, and builds a graph over vectors above a number of kilobytes.
    """

    def __init__(self, settings: collections_pb2.CreateCollection, schema: VectorSchema, shard: edge.EdgeShard) -> None:
        values = read_optimizer_values(settings.optimizers_config)
        self._deleted_share: float = values["deleted_threshold"]
        self._indexing_bytes: int = values["indexing_threshold"] * 1024
        self._point_bytes = sum(4 * kind.size for kind in schema.values())
        self._has_sealed_segments = False
        self._counts = ChangeCounts()
        self.note_segments(shard)
        if not self._has_sealed_segments:
            self._counts = ChangeCounts(unindexed=shard.info().points_count)

    @property
    def counts(self) -> ChangeCounts:
        """The changes since the last optimization."""
        return self._counts

    def record_stored(self, points: int) -> None:
        """Counts points that were stored or changed."""
        # A sealed segment retains the old version of a point; other segments replace it in place.
        stale = points if self._has_sealed_segments else 0
        self._counts = ChangeCounts(self._counts.unindexed + points, self._counts.stale + stale)

    def record_deleted(self, points: int) -> None:
        """Counts points that were deleted."""
        self._counts = ChangeCounts(self._counts.unindexed, self._counts.stale + points)

    def note_segments(self, shard: edge.EdgeShard) -> None:
        """Records whether a shard that was opened or optimized has sealed segments."""
        self._has_sealed_segments = shard.info().segments_count > 1

    def subtract(self, counts: ChangeCounts) -> None:
        """Subtracts the changes that an optimization covered."""
        unindexed, stale = self._counts.unindexed - counts.unindexed, self._counts.stale - counts.stale
        self._counts = ChangeCounts(unindexed, stale)

    def is_due(self, points: int, min_changed: int) -> bool:
        """Whether a shard with this number of points is worth an optimization."""
        if self._counts.unindexed + self._counts.stale < min_changed:
            return False
        is_unindexed = self._counts.unindexed * self._point_bytes > self._indexing_bytes
        return is_unindexed or self._counts.stale > self._deleted_share * (points + self._counts.stale)
