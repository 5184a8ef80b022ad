"""The collections of a data folder, and the aliases that point to them."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TypeVar

import grpc
from qdrant_grpc import collections_pb2

from .collection import Collection
from .collection_manifest import CollectionManifest, replace_json
from .data_folder import DataFolderError
from .errors import RequestError, collection_not_found, invalid_argument, is_engine_error, not_found

_log = logging.getLogger(__name__)

T = TypeVar("T")

#: Characters that Qdrant does not allow in names.
_FORBIDDEN_CHARACTERS = frozenset('<>:"/\\|?*\0\x1f')
_MAX_NAME_BYTES = 255


class CollectionCatalog:
    """The open collections of one data folder."""

    def __init__(self, folder: Path, collections: dict[str, Collection], aliases: dict[str, str]) -> None:
        self._folder = folder
        self._collections = collections
        self._aliases = aliases
        #: Held while a collection is created or deleted, and while aliases are changed.
        self._lock = asyncio.Lock()

    @classmethod
    def open(cls, folder: Path) -> CollectionCatalog:
        """Opens every collection. Raises `DataFolderError` if one cannot be opened."""
        root = folder / "collections"
        root.mkdir(exist_ok=True)
        collections = {}
        for path in sorted(root.iterdir()):
            collection = _run_opening_step(path, partial(_open_collection, path))
            if collection is not None:
                collections[collection.name] = collection
        aliases = folder / "aliases.json"
        return cls(folder, collections, _run_opening_step(aliases, partial(_read_aliases, aliases)))

    def get(self, name: str) -> Collection:
        """Returns the collection with a name or an alias. Raises if there is none."""
        collection = self.find(name)
        if collection is None:
            raise collection_not_found(name)
        return collection

    def find(self, name: str) -> Collection | None:
        """Returns the collection with a name or an alias; `None` if there is none."""
        return self._collections.get(self._aliases.get(name, name))

    def list_collections(self) -> list[Collection]:
        """Returns all collections."""
        return list(self._collections.values())

    def list_names(self) -> list[str]:
        """Returns the names of all collections, sorted."""
        return sorted(self._collections)

    def list_aliases(self) -> dict[str, str]:
        """Returns the aliases and the collections that they point to."""
        return dict(self._aliases)

    async def create(self, settings: collections_pb2.CreateCollection) -> None:
        """Creates a collection."""
        name = settings.collection_name
        if not _is_valid_name(name):
            raise invalid_argument(f"`{name}` is not a valid name of a collection")
        async with self._lock:
            if self.find(name) is not None:
                raise RequestError(grpc.StatusCode.ALREADY_EXISTS, f"Wrong input: Collection `{name}` already exists!")
            folder = self._folder / "collections" / name
            # An earlier attempt that failed may have left the folder.
            shutil.rmtree(folder, ignore_errors=True)
            self._collections[name] = Collection.create(name, folder, settings)

    async def delete(self, name: str) -> bool:
        """Deletes a collection and its aliases; returns whether there was one."""
        async with self._lock:
            collection = self._collections.pop(name, None)
            if collection is None:
                return False
            self._write_aliases({alias: target for alias, target in self._aliases.items() if target != name})
            CollectionManifest.remove(collection.folder)
            await collection.delete()
            return True

    async def change_aliases(self, actions: Iterable[collections_pb2.AliasOperations]) -> None:
        """Applies all changes of aliases or none."""
        async with self._lock:
            aliases = self.list_aliases()
            for action in actions:
                self._apply_alias_action(action, aliases)
            self._write_aliases(aliases)

    async def close(self) -> None:
        """Closes every collection."""
        for collection in self.list_collections():
            await collection.close()

    def _apply_alias_action(self, action: collections_pb2.AliasOperations, aliases: dict[str, str]) -> None:
        kind = action.WhichOneof("action")
        if kind == "create_alias":
            alias, target = action.create_alias.alias_name, action.create_alias.collection_name
            if target not in self._collections:
                raise collection_not_found(target)
            self._check_alias(alias)
            aliases[alias] = target
        elif kind == "rename_alias":
            self._check_alias(action.rename_alias.new_alias_name)
            aliases[action.rename_alias.new_alias_name] = _pop_alias(aliases, action.rename_alias.old_alias_name)
        elif kind == "delete_alias":
            _pop_alias(aliases, action.delete_alias.alias_name)
        else:
            raise invalid_argument("an alias operation is empty")

    def _check_alias(self, alias: str) -> None:
        if alias in self._collections:
            raise invalid_argument(f"a collection has the name `{alias}`")

    def _write_aliases(self, aliases: dict[str, str]) -> None:
        if aliases != self._aliases:
            replace_json(self._folder / "aliases.json", aliases)
            self._aliases = aliases


def _open_collection(folder: Path) -> Collection | None:
    """Opens a collection; removes an incomplete one that a killed process left."""
    manifest = CollectionManifest.read(folder)
    if manifest is None:
        shutil.rmtree(folder)
        return None
    started = time.monotonic()
    collection = Collection.open(folder, manifest)
    _log.info("collection %s opened in %.2f s", collection.name, time.monotonic() - started)
    return collection


def _is_valid_name(name: str) -> bool:
    is_short = 0 < len(name.encode()) <= _MAX_NAME_BYTES
    return is_short and not name.startswith(".") and _FORBIDDEN_CHARACTERS.isdisjoint(name)


def _pop_alias(aliases: dict[str, str], alias: str) -> str:
    try:
        return aliases.pop(alias)
    except KeyError:
        raise not_found(f"Alias `{alias}` doesn't exist!") from None


def _read_aliases(path: Path) -> dict[str, str]:
    return json.loads(path.read_bytes()) if path.exists() else {}


def _run_opening_step(path: Path, step: Callable[[], T]) -> T:
    """Runs a step of opening the catalog; reports a failure with the path and its remedy."""
    try:
        return step()
    except BaseException as error:
        if not isinstance(error, Exception) and not is_engine_error(error):
            raise
        raise DataFolderError(
            f"{path} cannot be opened: {error}. Delete it and rebuild the read models with `medhub rebuild search`"
        ) from error
