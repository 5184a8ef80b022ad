"""The manifest of a collection: a file with what must be known before the collection is opened."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qdrant_grpc import collections_pb2

_FILE = "collection.json"


@dataclass(frozen=True)
class CollectionManifest:
    """Name and settings of a collection, and the folder of its shard.

    The file is written last when a collection is created and removed first when it is deleted: a folder without it
    was left incomplete by a killed process.
    """

    name: str
    settings: collections_pb2.CreateCollection
    shard: str

    @classmethod
    def read(cls, folder: Path) -> CollectionManifest | None:
        """Reads the manifest of a collection's folder; `None` if there is none."""
        try:
            content = json.loads((folder / _FILE).read_bytes())
        except FileNotFoundError:
            return None
        settings = collections_pb2.CreateCollection.FromString(base64.b64decode(content["settings"]))
        return cls(content["name"], settings, content["shard"])

    def write(self, folder: Path) -> None:
        """Replaces the manifest of a collection's folder."""
        settings = base64.b64encode(self.settings.SerializeToString()).decode("ascii")
        replace_json(folder / _FILE, {"name": self.name, "shard": self.shard, "settings": settings})

    @staticmethod
    def remove(folder: Path) -> None:
        """Removes the manifest, so that the folder is removed at the next start of the server."""
        (folder / _FILE).unlink()


def replace_json(path: Path, content: Any) -> None:
    """Replaces a file atomically."""
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
    os.replace(temporary, path)
