"""The gRPC services of collections and of the server's health."""

from __future__ import annotations

import time
from typing import Any

import grpc.aio
from qdrant_grpc import collections_pb2, collections_service_pb2_grpc, qdrant_pb2, qdrant_pb2_grpc

from . import API_VERSION
from .collection import Collection
from .collection_catalog import CollectionCatalog
from .conversion.collection_settings import write_settings
from .conversion.payload_indexes import write_index_info
from .options import MaintenanceOptions
from .service_methods import unsupported_method


class CollectionsService(collections_service_pb2_grpc.CollectionsServicer):
    """Collections and aliases."""

    def __init__(self, catalog: CollectionCatalog, options: MaintenanceOptions) -> None:
        self._catalog = catalog
        self._options = options

    async def Get(self, request: collections_pb2.GetCollectionInfoRequest, context: grpc.aio.ServicerContext) -> Any:
        started = time.perf_counter()
        response = collections_pb2.GetCollectionInfoResponse()
        collection = self._catalog.get(request.collection_name)
        _write_collection_info(collection, response.result)
        if collection.has_pending_optimization(self._options.optimize_after):
            response.result.status = collections_pb2.Yellow
        response.time = time.perf_counter() - started
        return response

    async def List(self, request: collections_pb2.ListCollectionsRequest, context: grpc.aio.ServicerContext) -> Any:
        started = time.perf_counter()
        descriptions = [collections_pb2.CollectionDescription(name=name) for name in self._catalog.list_names()]
        return collections_pb2.ListCollectionsResponse(collections=descriptions, time=time.perf_counter() - started)

    async def Create(self, request: collections_pb2.CreateCollection, context: grpc.aio.ServicerContext) -> Any:
        started = time.perf_counter()
        await self._catalog.create(request)
        return _operation_response(True, started)

    async def Delete(self, request: collections_pb2.DeleteCollection, context: grpc.aio.ServicerContext) -> Any:
        started = time.perf_counter()
        return _operation_response(await self._catalog.delete(request.collection_name), started)

    async def UpdateAliases(self, request: collections_pb2.ChangeAliases, context: grpc.aio.ServicerContext) -> Any:
        started = time.perf_counter()
        await self._catalog.change_aliases(request.actions)
        return _operation_response(True, started)

    async def ListAliases(self, request: collections_pb2.ListAliasesRequest, context: grpc.aio.ServicerContext) -> Any:
        return self._list_aliases(None)

    async def ListCollectionAliases(
        self, request: collections_pb2.ListCollectionAliasesRequest, context: grpc.aio.ServicerContext
    ) -> Any:
        return self._list_aliases(request.collection_name)

    async def CollectionExists(
        self, request: collections_pb2.CollectionExistsRequest, context: grpc.aio.ServicerContext
    ) -> Any:
        started = time.perf_counter()
        exists = self._catalog.find(request.collection_name) is not None
        return collections_pb2.CollectionExistsResponse(
            result=collections_pb2.CollectionExists(exists=exists), time=time.perf_counter() - started
        )

    Update = unsupported_method("changing the settings of a collection")
    CollectionClusterInfo = unsupported_method("clusters")
    UpdateCollectionClusterSetup = unsupported_method("clusters")
    CreateShardKey = unsupported_method("shard keys")
    DeleteShardKey = unsupported_method("shard keys")
    ListShardKeys = unsupported_method("shard keys")

    def _list_aliases(self, collection: str | None) -> collections_pb2.ListAliasesResponse:
        started = time.perf_counter()
        response = collections_pb2.ListAliasesResponse()
        for alias, target in sorted(self._catalog.list_aliases().items()):
            if collection in (None, target):
                response.aliases.add(alias_name=alias, collection_name=target)
        response.time = time.perf_counter() - started
        return response


class HealthService(qdrant_pb2_grpc.QdrantServicer):
    """Reports that the server answers, and which version of the API it serves."""

    async def HealthCheck(self, request: qdrant_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext) -> Any:
        return qdrant_pb2.HealthCheckReply(title="medhub local qdrant (qdrant-edge)", version=API_VERSION)


def _write_collection_info(collection: Collection, message: collections_pb2.CollectionInfo) -> None:
    info = collection.shard.info()
    message.status = collections_pb2.Green
    message.optimizer_status.ok = True
    message.segments_count = info.segments_count
    message.points_count = info.points_count
    message.indexed_vectors_count = info.indexed_vectors_count
    write_settings(collection.settings, message.config)
    for key, index in info.payload_schema.items():
        write_index_info(index, message.payload_schema[key])


def _operation_response(result: bool, started: float) -> collections_pb2.CollectionOperationResponse:
    return collections_pb2.CollectionOperationResponse(result=result, time=time.perf_counter() - started)
