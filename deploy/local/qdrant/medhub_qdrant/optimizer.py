"""The program that optimizes a copy of a shard: `python3 -m medhub_qdrant.optimizer SHARD COPY PARENT`.

PARENT is the process id of the server. The program prints `copied` once the shard may change again, then `optimized` or
`unchanged`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

#: Option of `prctl`: the signal that the process gets when its parent dies.
_PR_SET_PDEATHSIG = 1
#: Lower priority than the server's requests.
_NICENESS = 10


def main(source: Path, target: Path, parent: int) -> None:
    """Copies the shard and optimizes the copy."""
    end_with_parent(parent)
    os.nice(_NICENESS)
    copy_folder(source, target)
    print("copied", flush=True)
    from qdrant_edge import EdgeShard

    shard = EdgeShard.load(str(target))
    is_changed = shard.optimize()
    shard.close()
    print("optimized" if is_changed else "unchanged", flush=True)


def end_with_parent(parent: int) -> None:
    """Makes the kernel kill this process when the server dies, so that it never uses another server's folder."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def copy_folder(source: Path, target: Path) -> None:
    """Copies a folder recursively. Holes of sparse files remain holes; the engine's files have many."""
    target.mkdir()
    for entry in os.scandir(source):
        if entry.is_dir(follow_symlinks=False):
            copy_folder(Path(entry.path), target / entry.name)
        else:
            _copy_file(Path(entry.path), target / entry.name)


def _copy_file(source: Path, target: Path) -> None:
    with open(source, "rb") as reader, open(target, "wb") as writer:
        size = os.fstat(reader.fileno()).st_size
        os.ftruncate(writer.fileno(), size)
        position = 0
        while position < size:
            try:
                position = os.lseek(reader.fileno(), position, os.SEEK_DATA)
            except OSError:
                # The rest of the file is a hole.
                return
            end = os.lseek(reader.fileno(), position, os.SEEK_HOLE)
            os.lseek(writer.fileno(), position, os.SEEK_SET)
            while position < end:
                sent = os.sendfile(writer.fileno(), reader.fileno(), position, end - position)
                if sent == 0:
                    return
                position += sent


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
