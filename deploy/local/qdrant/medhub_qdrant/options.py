"""What the command line decides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class MaintenanceOptions:
    """When collections are flushed and optimized."""

    #: Seconds between two rounds, and without a change before a collection is flushed or optimized.
    interval: float = 5.0
    #: Points that must have changed, at least, before a collection is optimized.
    optimize_after: int = 1_000


@dataclass(frozen=True)
class ServerOptions:
    """Where to listen, where to store data, and when to maintain it."""

    listen: str
    folder: Path
    maintenance: MaintenanceOptions
