"""A collection: the engine's shard, which is flushed and optimized.

The engine writes every change to its own log before it applies it, and applies that log when it opens a shard, so a
killed process loses no change. The log is written to the operating system, not synced to the disk: a power failure may
lose what the operating system has not written yet. A flush syncs everything to the disk and truncates the log.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import qdrant_edge as edge
from qdrant_grpc import collections_pb2, qdrant_common_pb2

from .collection_manifest import CollectionManifest
from .conversion.collection_settings import read_engine_config, read_vector_schema
from .conversion.operations import ShardChange
from .errors import collection_not_found
from .optimization import OptimizationError, ShardOptimization
from .optimization_trigger import OptimizationTrigger
from .repeated_filters import RepeatedFilters

_log = logging.getLogger(__name__)

#: Bytes of changes after which the shard is flushed even while changes continue. It bounds the engine's log, and so the
#: time of opening after a kill: by reckoning, up to ten seconds for each collection. A flush syncs about a hundred files while no request is
#: answered: for half a second on a disk that other programs sync, too.
_FLUSH_BYTES = 128 << 20


class Collection:
    """An open collection. Its engine calls block the event loop, so they never overlap."""

    def __init__(self, folder: Path, manifest: CollectionManifest, shard: edge.EdgeShard) -> None:
        self.name = manifest.name
        self.settings = manifest.settings
        self.schema = read_vector_schema(manifest.settings)
        self._folder = folder
        self._manifest = manifest
        #: `None` after the collection was closed or deleted.
        self._shard: edge.EdgeShard | None = shard
        #: Held by changes, and while the shard must not change during several iterations of the event loop.
        self._write_lock = asyncio.Lock()
        self._change_count = 0
        self._search_filters = RepeatedFilters()
        self._last_change = time.monotonic()
        self._unflushed_bytes = 0
        self._trigger = OptimizationTrigger(manifest.settings, self.schema, shard)
        self._optimization: ShardOptimization | None = None

    @classmethod
    def create(cls, name: str, folder: Path, settings: collections_pb2.CreateCollection) -> Collection:
        """Creates a collection in a folder that does not exist yet."""
        manifest = CollectionManifest(name, settings, shard="shard-1")
        config = read_engine_config(settings)
        path = folder / manifest.shard
        path.mkdir(parents=True)
        shard = edge.EdgeShard.create(str(path), config)
        shard.flush()
        manifest.write(folder)
        return cls(folder, manifest, shard)

    @classmethod
    def open(cls, folder: Path, manifest: CollectionManifest) -> Collection:
        """Opens a collection; the engine applies the changes that it had not flushed."""
        for entry in folder.iterdir():
            # Copies that were being optimized, and shards that were replaced by their optimized copies.
            if entry.is_dir() and entry.name != manifest.shard:
                shutil.rmtree(entry)
        return cls(folder, manifest, edge.EdgeShard.load(str(folder / manifest.shard)))

    @property
    def folder(self) -> Path:
        """The folder of the collection."""
        return self._folder

    @property
    def shard(self) -> edge.EdgeShard:
        """The engine's shard, for reads. Callers must not store it: an optimization replaces it."""
        if self._shard is None:
            raise collection_not_found(self.name)
        return self._shard

    def read_search_filter(self, message: qdrant_common_pb2.Filter) -> edge.Filter | None:
        """Reads the filter of a search; `None` if it matches every point."""
        return self._search_filters.read(message, self.shard, self._change_count)

    async def apply_changes(self, changes: Sequence[ShardChange]) -> list[int]:
        """Applies changes in order, up to the first that is refused; returns their numbers."""
        async with self._write_lock:
            return [self._apply_change(change) for change in changes]

    def _apply_change(self, change: ShardChange) -> int:
        shard = self.shard
        self._change_count += 1
        self._last_change = time.monotonic()
        self._unflushed_bytes += change.size
        known_points = shard.info().points_count if change.points is None or change.deletes else 0
        points = known_points if change.points is None else change.points
        if self._optimization is not None:
            self._optimization.record_change(change.operation, points)
        shard.update(change.operation)
        if change.deletes:
            self._trigger.record_deleted(known_points - shard.info().points_count)
        else:
            self._trigger.record_stored(points)
        if self._unflushed_bytes > _FLUSH_BYTES:
            self._flush(shard)
        return self._change_count

    def _flush(self, shard: edge.EdgeShard) -> None:
        shard.flush()
        self._unflushed_bytes = 0

    def flush_changes(self) -> None:
        """Flushes the shard if it has unflushed changes."""
        if self._shard is not None and self._unflushed_bytes:
            self._flush(self._shard)

    def needs_optimization(self, idle: float, min_changed: int) -> bool:
        """Whether the engine may have something to optimize, and the last change was at least `idle` seconds ago."""
        if self._shard is None or not self.is_idle(idle):
            return False
        return self._trigger.is_due(self._shard.info().points_count, min_changed)

    def has_pending_optimization(self, min_changed: int) -> bool:
        """Whether the shard is optimized, or will be once it does not change."""
        if self._optimization is not None:
            return True
        return self._shard is not None and self._trigger.is_due(self._shard.info().points_count, min_changed)

    def is_idle(self, seconds: float) -> bool:
        """Whether the last change was at least this many seconds ago."""
        return time.monotonic() - self._last_change >= seconds

    async def optimize(self) -> None:
        """Optimizes a copy of the shard in another process, then replaces the shard with the copy.

        Reads continue meanwhile; changes wait while the copy is made and while it replaces the shard. The copy is
        discarded if more changes arrive than can be applied to it in a short time.
        """
        started = time.monotonic()
        number = int(self._manifest.shard.rpartition("-")[2]) + 1
        target = self._folder / f"shard-{number}"
        optimization = ShardOptimization(self._folder / self._manifest.shard, target)
        counts = self._trigger.counts
        try:
            async with self._write_lock:
                self._flush(self.shard)
                self._optimization = optimization
                await optimization.copy_shard()
            is_changed = await optimization.wait_for_process()
            async with self._write_lock:
                if is_changed:
                    self._replace_shard(optimization)
        except OptimizationError as error:
            _log.info("the optimization of collection %s was abandoned: %s", self.name, error)
        else:
            outcome = "optimized" if is_changed else "nothing to optimize"
            _log.info("collection %s: %s after %.1f s", self.name, outcome, time.monotonic() - started)
        finally:
            self._optimization = None
            if not optimization.is_outrun:
                self._trigger.subtract(counts)
            await optimization.close(keep_copy=self._manifest.shard == target.name)

    def _replace_shard(self, optimization: ShardOptimization) -> None:
        replaced = self.shard
        optimized = optimization.open_shard()
        optimized.flush()
        manifest = replace(self._manifest, shard=optimization.target.name)
        manifest.write(self._folder)
        self._shard, self._manifest = optimized, manifest
        self._unflushed_bytes = 0
        self._trigger.note_segments(optimized)
        replaced.close()
        shutil.rmtree(optimization.source)

    async def close(self) -> None:
        """Closes the shard, which flushes it."""
        if self._optimization is not None:
            await self._optimization.end_process("the collection is closed")
        async with self._write_lock:
            shard, self._shard = self._shard, None
            if shard is not None:
                shard.close()

    async def delete(self) -> None:
        """Closes the shard and removes its folder."""
        await self.close()
        shutil.rmtree(self._folder)
