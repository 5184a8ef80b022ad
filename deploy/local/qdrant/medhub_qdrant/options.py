"""Options of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class MaintenanceOptions:
    """Options that decide when collections are flushed and optimized."""

    #: Seconds between two rounds; also the time without a change after which collections are flushed or optimized.
    interval: float = 5.0
    #: Minimum number of changed points after which a collection is optimized.
    optimize_after: int = 1_000


@dataclass(frozen=True)
class ServerOptions:
    """Address, data folder and maintenance of the server."""

    listen: str
    folder: Path
    maintenance: MaintenanceOptions
