"""The data folder, which one process uses at a time."""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path
from typing import TextIO

_log = logging.getLogger(__name__)

#: The kernel releases the lock when its process ends, however it ends.
_LOCK_FILE = "medhub.lock"

#: Data is stored below a folder with the name of its format: data of another engine is never opened by this one.
_FORMAT_FOLDER = "qdrant-edge-0.9"

#: Where the engine `qdrant-edge` 0.7 stored collections.
_OLD_FOLDER = "collections"


class DataFolderError(Exception):
    """A data folder that cannot be used; the message says why and what to do."""


class DataFolder:
    """A data folder that this process holds the lock of."""

    def __init__(self, path: Path, lock: TextIO) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def open(cls, path: Path) -> DataFolder:
        """Makes the folder where it is missing, and takes its lock.

        Raises `DataFolderError` where another process uses the folder, or it cannot be made.
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
                "%s holds collections of an older version of this program, which are not read; delete it, and make the "
                "read models anew with `medhub rebuild search`",
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
