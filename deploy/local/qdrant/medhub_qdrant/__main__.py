"""Command line: `python3 -m medhub_qdrant --listen ADDRESS:PORT --folder FOLDER`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

from . import API_VERSION
from .options import MaintenanceOptions, ServerOptions


def main() -> int:
    """Runs the server; returns the exit code."""
    arguments = _parse_arguments()
    _configure_logging()
    # Imported after the arguments are parsed, so that `--help` does not load gRPC.
    from .data_folder import DataFolderError
    from .server import ListenError, serve

    maintenance = MaintenanceOptions(arguments.maintenance_interval, arguments.optimize_after)
    try:
        asyncio.run(serve(ServerOptions(arguments.listen, arguments.folder, maintenance)))
    except (DataFolderError, ListenError) as error:
        logging.getLogger(__package__).error("%s", error)
        return 1
    return 0


def _parse_arguments() -> argparse.Namespace:
    defaults = MaintenanceOptions()
    parser = argparse.ArgumentParser(
        prog="python3 -m medhub_qdrant",
        description="Serves Qdrant's gRPC API from one data folder, with the engine of the package qdrant-edge-py. "
        f"Logs go to stderr; SIGTERM stops the server gracefully. API version {API_VERSION}.",
    )
    parser.add_argument(
        "--listen",
        required=True,
        metavar="ADDRESS:PORT",
        type=_parse_address,
        help="address to listen on, such as 127.0.0.1:6334; port 0 chooses a free port, which is logged",
    )
    parser.add_argument(
        "--folder",
        required=True,
        metavar="FOLDER",
        type=Path,
        help="folder of the data; created if it is missing, and used by one process at a time",
    )
    parser.add_argument(
        "--maintenance-interval",
        metavar="SECONDS",
        type=_parse_positive(float),
        default=defaults.interval,
        help="time without a change after which a collection is optimized, and all are flushed (default: %(default)s)",
    )
    parser.add_argument(
        "--optimize-after",
        metavar="POINTS",
        type=_parse_positive(int),
        default=defaults.optimize_after,
        help="minimum number of changed points after which a collection is optimized "
        "(default: %(default)s)",
    )
    return parser.parse_args()


def _parse_address(text: str) -> str:
    address, separator, port = text.rpartition(":")
    if not (separator and address and port.isdecimal() and int(port) < 65536):
        raise argparse.ArgumentTypeError(f"`{text}` is not of the form ADDRESS:PORT")
    return text


def _parse_positive(kind: type[float]) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"`{text}` is not positive")
        return value

    parse.__name__ = kind.__name__
    return parse


def _configure_logging() -> None:
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[handler])


if __name__ == "__main__":
    sys.exit(main())
