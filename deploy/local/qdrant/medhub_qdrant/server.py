"""The gRPC server: its address, its limits and its shutdown."""

from __future__ import annotations

import asyncio
import logging
import signal
import time

import grpc
import grpc.aio
from qdrant_grpc import collections_service_pb2_grpc, points_service_pb2_grpc, qdrant_pb2_grpc

from .collection_catalog import CollectionCatalog
from .collections_service import CollectionsService, HealthService
from .data_folder import DataFolder
from .maintenance import MaintenanceTask
from .options import MaintenanceOptions, ServerOptions
from .points_service import PointsService
from .status_interceptor import StatusInterceptor

_log = logging.getLogger(__name__)

#: Maximum size of a message in either direction.
_MAX_MESSAGE_BYTES = 64 << 20
#: Maximum number of requests in progress; more are refused.
_MAX_CONCURRENT_REQUESTS = 1024
#: Time limit for running requests after the server was asked to stop, in seconds.
_DRAIN_SECONDS = 5.0


class ListenError(Exception):
    """The server cannot listen on an address."""


async def serve(options: ServerOptions) -> None:
    """Serves until SIGTERM or SIGINT, then finishes running requests and closes the collections.

    Raises `DataFolderError` if the data folder cannot be used, and `ListenError` if the address cannot.
    """
    started = time.monotonic()
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    folder = DataFolder.open(options.folder)
    # The catalog is opened before the server listens, so that an open port means open collections.
    catalog = CollectionCatalog.open(folder.path)
    interceptor = StatusInterceptor()
    server = _build_server(catalog, interceptor, options.maintenance)
    address = _bind_address(server, options.listen)
    await server.start()
    maintenance = MaintenanceTask(catalog, options.maintenance)
    _log.info(
        "listening on %s, %d collections, ready after %.2f s",
        address,
        len(catalog.list_names()),
        time.monotonic() - started,
    )
    await stopped.wait()
    _log.info("stopping")
    # Without the interceptor, `stop` would wait the whole time for clients that are only connected.
    draining = asyncio.ensure_future(server.stop(_DRAIN_SECONDS))
    await interceptor.wait_until_idle(_DRAIN_SECONDS)
    await server.stop(None)
    await draining
    await maintenance.stop()
    await catalog.close()
    folder.close()
    _log.info("stopped")


def _build_server(
    catalog: CollectionCatalog, interceptor: StatusInterceptor, options: MaintenanceOptions
) -> grpc.aio.Server:
    server = grpc.aio.server(
        interceptors=[interceptor],
        options=[
            ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
            # Otherwise two servers could share a port, and each would get half of the requests.
            ("grpc.so_reuseport", 0),
        ],
        maximum_concurrent_rpcs=_MAX_CONCURRENT_REQUESTS,
    )
    points_service_pb2_grpc.add_PointsServicer_to_server(PointsService(catalog), server)
    collections_service_pb2_grpc.add_CollectionsServicer_to_server(CollectionsService(catalog, options), server)
    qdrant_pb2_grpc.add_QdrantServicer_to_server(HealthService(), server)
    return server


def _bind_address(server: grpc.aio.Server, listen: str) -> str:
    """Binds the address; returns it with the port that was chosen for port 0."""
    try:
        port = server.add_insecure_port(listen)
    except RuntimeError:
        port = 0
    if port == 0:
        raise ListenError(f"cannot listen on {listen}; another process may use it")
    return f"{listen.rpartition(':')[0]}:{port}"
