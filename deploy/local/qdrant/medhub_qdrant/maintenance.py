"""Flushes the collections while none of them changes, and optimizes those that do not change."""

from __future__ import annotations

import asyncio
import logging

from .collection import Collection
from .collection_catalog import CollectionCatalog
from .errors import RequestError, is_engine_error
from .options import MaintenanceOptions

_log = logging.getLogger(__name__)


class MaintenanceTask:
    """The task that flushes and optimizes collections. At most one is optimized at a time."""

    def __init__(self, catalog: CollectionCatalog, options: MaintenanceOptions) -> None:
        self._catalog = catalog
        self._options = options
        self._optimization: asyncio.Task[None] | None = None
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stops the task; an optimization in progress is discarded."""
        tasks = [task for task in (self._task, self._optimization) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._options.interval)
            if self._is_idle():
                for collection in self._catalog.list_collections():
                    self._flush(collection)
                    # Lets requests be answered between two flushes.
                    await asyncio.sleep(0)
            if self._optimization is None or self._optimization.done():
                self._start_optimization()

    def _is_idle(self) -> bool:
        """Whether no collection has changed for some time: a flush would delay the changes of all of them."""
        return all(collection.is_idle(self._options.interval) for collection in self._catalog.list_collections())

    def _flush(self, collection: Collection) -> None:
        """Flushes a collection. A failure does not stop the task: the engine's log has all changes, and the next round
        tries again."""
        try:
            collection.flush_changes()
        except BaseException as error:
            if not isinstance(error, Exception) and not is_engine_error(error):
                raise
            _log.error("flushing collection %s failed", collection.name, exc_info=error)

    def _start_optimization(self) -> None:
        for collection in self._catalog.list_collections():
            if collection.needs_optimization(self._options.interval, self._options.optimize_after):
                self._optimization = asyncio.create_task(_optimize(collection))
                return


async def _optimize(collection: Collection) -> None:
    try:
        await collection.optimize()
    except RequestError:
        _log.info("collection %s was deleted before it was optimized", collection.name)
    except BaseException as error:
        if not isinstance(error, Exception) and not is_engine_error(error):
            raise
        _log.error("optimizing collection %s failed", collection.name, exc_info=error)
