"""The gRPC service of points."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import grpc.aio
import qdrant_edge as edge
from qdrant_grpc import points_pb2, points_service_pb2_grpc

from . import point_reads
from .collection import Collection
from .collection_catalog import CollectionCatalog
from .conversion import operations, results
from .conversion.older_requests import convert_recommendation, convert_search
from .conversion.operations import ShardChange
from .conversion.payload_indexes import read_index_schema
from .conversion.scalars import write_point_id
from .conversion.vectors import VectorSchema
from .service_methods import unsupported_method


class PointsService(points_service_pb2_grpc.PointsServicer):
    """Changes and reads of points. Every change is applied before its response, whether or not the client waits."""

    def __init__(self, catalog: CollectionCatalog) -> None:
        self._catalog = catalog

    async def Upsert(self, request: points_pb2.UpsertPoints, context: grpc.aio.ServicerContext) -> Any:
        return await self._change_points(request, operations.read_upsert)

    async def Delete(self, request: points_pb2.DeletePoints, context: grpc.aio.ServicerContext) -> Any:
        return await self._change_points(request, operations.read_delete_points)

    async def UpdateVectors(self, request: points_pb2.UpdatePointVectors, context: grpc.aio.ServicerContext) -> Any:
        return await self._change_points(request, operations.read_update_vectors)

    async def DeleteVectors(self, request: points_pb2.DeletePointVectors, context: grpc.aio.ServicerContext) -> Any:
        return await self._change_points(request, operations.read_delete_vectors)

    async def SetPayload(self, request: points_pb2.SetPayloadPoints, context: grpc.aio.ServicerContext) -> Any:
        return await self._change_points(request, operations.read_set_payload)

    async def OverwritePayload(self, request: points_pb2.SetPayloadPoints, context: grpc.aio.ServicerContext) -> Any:
        return await self._change_points(request, operations.read_overwrite_payload)

    async def DeletePayload(self, request: points_pb2.DeletePayloadPoints, context: grpc.aio.ServicerContext) -> Any:
        return await self._change_points(request, operations.read_delete_payload)

    async def ClearPayload(self, request: points_pb2.ClearPayloadPoints, context: grpc.aio.ServicerContext) -> Any:
        return await self._change_points(request, operations.read_clear_payload)

    async def UpdateBatch(self, request: points_pb2.UpdateBatchPoints, context: grpc.aio.ServicerContext) -> Any:
        started = time.perf_counter()
        collection = self._catalog.get(request.collection_name)
        # All are read before the first is applied, so that an invalid one changes nothing.
        changes = [operations.read_operation(operation, collection.schema) for operation in request.operations]
        numbers = await collection.apply_changes(changes)
        response = points_pb2.UpdateBatchResponse(time=time.perf_counter() - started)
        for number in numbers:
            _write_update_result(number, request, response.result.add())
        return response

    async def CreateFieldIndex(
        self, request: points_pb2.CreateFieldIndexCollection, context: grpc.aio.ServicerContext
    ) -> Any:
        operation = edge.UpdateOperation.create_field_index(request.field_name, read_index_schema(request))
        return await self._change_points(request, lambda *_: ShardChange(operation, 0, request.ByteSize()))

    async def DeleteFieldIndex(
        self, request: points_pb2.DeleteFieldIndexCollection, context: grpc.aio.ServicerContext
    ) -> Any:
        operation = edge.UpdateOperation.delete_field_index(request.field_name)
        return await self._change_points(request, lambda *_: ShardChange(operation, 0, request.ByteSize()))

    async def Get(self, request: points_pb2.GetPoints, context: grpc.aio.ServicerContext) -> Any:
        started = time.perf_counter()
        response = points_pb2.GetResponse()
        results.write_records(point_reads.retrieve_points(self._collection_of(request), request), response.result)
        response.time = time.perf_counter() - started
        return response

    async def Scroll(self, request: points_pb2.ScrollPoints, context: grpc.aio.ServicerContext) -> Any:
        started = time.perf_counter()
        response = points_pb2.ScrollResponse()
        records, next_page = point_reads.scroll_points(self._collection_of(request), request)
        results.write_records(records, response.result)
        if next_page is not None:
            write_point_id(next_page, response.next_page_offset)
        response.time = time.perf_counter() - started
        return response

    async def Count(self, request: points_pb2.CountPoints, context: grpc.aio.ServicerContext) -> Any:
        started = time.perf_counter()
        count = point_reads.count_points(self._collection_of(request), request)
        result = points_pb2.CountResult(count=count)
        return points_pb2.CountResponse(result=result, time=time.perf_counter() - started)

    async def Facet(self, request: points_pb2.FacetCounts, context: grpc.aio.ServicerContext) -> Any:
        started = time.perf_counter()
        response = points_pb2.FacetResponse()
        results.write_facet_hits(point_reads.count_facet_values(self._collection_of(request), request), response.hits)
        response.time = time.perf_counter() - started
        return response

    async def Query(self, request: points_pb2.QueryPoints, context: grpc.aio.ServicerContext) -> Any:
        return self._query(request, request, points_pb2.QueryResponse())

    async def Search(self, request: points_pb2.SearchPoints, context: grpc.aio.ServicerContext) -> Any:
        return self._query(request, convert_search(request), points_pb2.SearchResponse())

    async def Recommend(self, request: points_pb2.RecommendPoints, context: grpc.aio.ServicerContext) -> Any:
        return self._query(request, convert_recommendation(request), points_pb2.RecommendResponse())

    async def QueryBatch(self, request: points_pb2.QueryBatchPoints, context: grpc.aio.ServicerContext) -> Any:
        return self._query_in_batch(request, request.query_points, points_pb2.QueryBatchResponse())

    async def SearchBatch(self, request: points_pb2.SearchBatchPoints, context: grpc.aio.ServicerContext) -> Any:
        queries = [convert_search(search) for search in request.search_points]
        return self._query_in_batch(request, queries, points_pb2.SearchBatchResponse())

    async def RecommendBatch(self, request: points_pb2.RecommendBatchPoints, context: grpc.aio.ServicerContext) -> Any:
        queries = [convert_recommendation(each) for each in request.recommend_points]
        return self._query_in_batch(request, queries, points_pb2.RecommendBatchResponse())

    CreateVectorName = unsupported_method("adding vectors to a collection")
    DeleteVectorName = unsupported_method("removing vectors from a collection")
    SearchGroups = unsupported_method("groups")
    QueryGroups = unsupported_method("groups")
    RecommendGroups = unsupported_method("groups")
    Discover = unsupported_method("the older discover request (use query)")
    DiscoverBatch = unsupported_method("the older discover request (use query)")
    SearchMatrixPairs = unsupported_method("distance matrices")
    SearchMatrixOffsets = unsupported_method("distance matrices")

    def _collection_of(self, request: Any) -> Collection:
        return self._catalog.get(request.collection_name)

    async def _change_points(
        self, request: Any, read_change: Callable[[Any, VectorSchema], ShardChange]
    ) -> points_pb2.PointsOperationResponse:
        started = time.perf_counter()
        collection = self._collection_of(request)
        [number] = await collection.apply_changes([read_change(request, collection.schema)])
        response = points_pb2.PointsOperationResponse()
        _write_update_result(number, request, response.result)
        response.time = time.perf_counter() - started
        return response

    def _query(self, request: Any, query: points_pb2.QueryPoints, response: Any) -> Any:
        started = time.perf_counter()
        points = point_reads.query_points(self._collection_of(request), query)
        results.write_scored_points(points, response.result)
        response.time = time.perf_counter() - started
        return response

    def _query_in_batch(self, request: Any, queries: Iterable[points_pb2.QueryPoints], response: Any) -> Any:
        started = time.perf_counter()
        for points in point_reads.query_points_in_batch(self._collection_of(request), queries):
            results.write_scored_points(points, response.result.add().result)
        response.time = time.perf_counter() - started
        return response


def _write_update_result(number: int, request: Any, result: points_pb2.UpdateResult) -> None:
    """The change is applied in any case; a client that did not ask to wait gets the status `Acknowledged`."""
    result.operation_id = number
    result.status = points_pb2.Completed if request.wait else points_pb2.Acknowledged
