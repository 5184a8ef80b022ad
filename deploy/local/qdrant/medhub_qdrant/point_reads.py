"""Reads of one collection: points by identifier, pages, counts, facets and searches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import qdrant_edge as edge
from qdrant_grpc import points_pb2

from .collection import Collection
from .conversion.filters import read_optional_filter
from .conversion.queries import QueryReader, read_order_by
from .conversion.scalars import read_point_id, read_point_ids, refuse_shard_key
from .conversion.selectors import read_payload_selector, read_vector_selector
from .errors import invalid_argument

_DEFAULT_PAGE_SIZE = 10
_DEFAULT_FACET_VALUES = 10


def retrieve_points(collection: Collection, request: points_pb2.GetPoints) -> list[edge.Record]:
    """Returns points by identifier, in the order of the request; missing points are left out."""
    refuse_shard_key(request)
    payload, vectors = read_payload_selector(request, default=True), read_vector_selector(request)
    return collection.shard.retrieve(read_point_ids(request.ids), payload, vectors)


def scroll_points(collection: Collection, request: points_pb2.ScrollPoints) -> tuple[list[edge.Record], Any]:
    """Returns one page of points, and the first identifier of the next page, if there is one."""
    refuse_shard_key(request)
    limit = request.limit if request.HasField("limit") else _DEFAULT_PAGE_SIZE
    if limit == 0:
        raise invalid_argument("the limit of a page is 0")
    page = edge.ScrollRequest(
        offset=read_point_id(request.offset) if request.HasField("offset") else None,
        limit=limit,
        filter=read_optional_filter(request),
        with_payload=read_payload_selector(request, default=True),
        with_vector=read_vector_selector(request),
        order_by=read_order_by(request.order_by) if request.HasField("order_by") else None,
    )
    return collection.shard.scroll(page)


def count_points(collection: Collection, request: points_pb2.CountPoints) -> int:
    """Counts the points that match; exactly, unless the request wants an estimate."""
    refuse_shard_key(request)
    exact = request.exact if request.HasField("exact") else True
    return collection.shard.count(edge.CountRequest(exact, read_optional_filter(request)))


def count_facet_values(collection: Collection, request: points_pb2.FacetCounts) -> list[edge.FacetHit]:
    """Counts the points for each value of a key."""
    refuse_shard_key(request)
    limit = request.limit if request.HasField("limit") else _DEFAULT_FACET_VALUES
    facet = edge.FacetRequest(request.key, limit, request.exact, read_optional_filter(request))
    return collection.shard.facet(facet).hits


def query_points(collection: Collection, request: points_pb2.QueryPoints) -> list[edge.ScoredPoint]:
    """Returns the points with the best scores."""
    reader = QueryReader(collection.shard, collection.schema, collection.read_search_filter)
    return collection.shard.query(reader.read_request(request))


def query_points_in_batch(
    collection: Collection, requests: Iterable[points_pb2.QueryPoints]
) -> list[list[edge.ScoredPoint]]:
    """Returns the points with the best scores for each of several searches."""
    reader = QueryReader(collection.shard, collection.schema, collection.read_search_filter)
    return collection.shard.query_batch(edge.QueryBatchRequest([reader.read_request(each) for each in requests]))
