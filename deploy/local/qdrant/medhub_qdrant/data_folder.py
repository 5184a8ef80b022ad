"""The data folder, which only one process uses at a time."""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path
from typing import TextIO

_log = logging.getLogger(__name__)

#: The kernel releases the lock when its process ends, even if it is killed.
_LOCK_FILE = "medhub.lock"

#: Data is stored in a folder with the name of its format, so that this engine never opens the data of another one.
_FORMAT_FOLDER = "qdrant-edge-0.9"

#: The folder in which the engine `qdrant-edge` 0.7 stored collections.
_OLD_FOLDER = "collections"


class DataFolderError(Exception):
    """A data folder that cannot be used; the message says why and how to fix it."""


class DataFolder:
    """A data folder that this process has locked."""

    def __init__(self, path: Path, lock: TextIO) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def open(cls, path: Path) -> DataFolder:
        """Creates the folder if it is missing, and locks it.

        Raises `DataFolderError` if another process uses the folder, or it cannot be created.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = _take_lock(path)
            data = path / _FORMAT_FOLDER
            data.mkdir(exist_ok=True)
        except OSError as error:
            raise DataFolderError(f"the data folder {path} cannot be used: {error}") from error
        if (path / _OLD_FOLDER).exists():
            _log.warning(
                "%s contains collections of an older version of this program, which are not read; delete it and "
                "rebuild the read models with `medhub rebuild search`",
                path / _OLD_FOLDER,
            )
        return cls(data, lock)

    def close(self) -> None:
        """Releases the lock."""
        self._lock.close()


def _take_lock(folder: Path) -> TextIO:
    lock = open(folder / _LOCK_FILE, "a+", encoding="ascii", errors="replace")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read(20).strip()
        lock.close()
        raise DataFolderError(
            f"the data folder {folder} is in use by another process" + (f" (pid {holder})" if holder else "")
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock
