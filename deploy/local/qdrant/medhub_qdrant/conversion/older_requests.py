"""Search requests of older clients, converted into the request that replaced them."""

from __future__ import annotations

from typing import Any

from qdrant_grpc import points_pb2

from .vectors import read_vector, write_vector


def convert_search(search: points_pb2.SearchPoints) -> points_pb2.QueryPoints:
    """Converts the older request for a search by one vector."""
    query = _copy_search_fields(search, search.vector_name)
    if search.HasField("sparse_indices"):
        query.query.nearest.sparse.indices.extend(search.sparse_indices.data)
        query.query.nearest.sparse.values.extend(search.vector)
    else:
        query.query.nearest.dense.data.extend(search.vector)
    return query


def convert_recommendation(request: points_pb2.RecommendPoints) -> points_pb2.QueryPoints:
    """Converts the older request for recommendations."""
    query = _copy_search_fields(request, request.using)
    recommend = query.query.recommend
    recommend.strategy = request.strategy
    for side in ("positive", "negative"):
        inputs = getattr(recommend, side)
        for point_id in getattr(request, side):
            inputs.add().id.CopyFrom(point_id)
        for example in getattr(request, f"{side}_vectors"):
            write_vector(read_vector(example), inputs.add())
    if request.HasField("lookup_from"):
        query.lookup_from.CopyFrom(request.lookup_from)
    return query


def _copy_search_fields(request: Any, using: str) -> points_pb2.QueryPoints:
    query = points_pb2.QueryPoints(using=using, limit=request.limit, offset=request.offset)
    for name in ("filter", "params", "with_vectors", "with_payload", "shard_key_selector"):
        if request.HasField(name):
            getattr(query, name).CopyFrom(getattr(request, name))
    if request.HasField("score_threshold"):
        query.score_threshold = request.score_threshold
    return query
