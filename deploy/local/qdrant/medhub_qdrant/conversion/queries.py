"""Searches: how to score, what to prefetch and what to exclude."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import qdrant_edge as edge
from qdrant_grpc import points_pb2, qdrant_common_pb2

from ..errors import invalid_argument, not_found, unsupported
from .filters import exclude_points, read_filter
from .formulas import read_formula
from .scalars import PointId, read_enum, read_optional, read_point_id, read_timestamp, refuse_shard_key
from .selectors import read_payload_selector, read_vector_selector
from .vectors import Vector, VectorSchema, check_vector, read_multi, read_sparse, refuse_inference

#: Number of results of a search without a limit.
DEFAULT_LIMIT = 10
#: Qdrant's constant of reciprocal rank fusion.
_DEFAULT_RRF_K = 2
_DEFAULT_DIVERSITY = 0.5

_DIRECTIONS = {points_pb2.Asc: edge.Direction.Asc, points_pb2.Desc: edge.Direction.Desc}
_RECOMMENDATIONS = {
    points_pb2.BestScore: edge.Query.RecommendBestScore,
    points_pb2.SumScores: edge.Query.RecommendSumScores,
}


def read_order_by(message: points_pb2.OrderBy) -> edge.OrderBy:
    """Reads an order by a value of the payload."""
    direction = read_optional(message, "direction")
    start_from = None
    kind = message.start_from.WhichOneof("value") if message.HasField("start_from") else None
    if kind == "timestamp":
        start_from = read_timestamp(message.start_from.timestamp)
    elif kind is not None:
        start_from = getattr(message.start_from, kind)
    return edge.OrderBy(message.key, None if direction is None else read_enum(_DIRECTIONS, direction), start_from)


@dataclass
class _QueryLevel:
    """The vector, the limit and the example points of one level of a search."""

    using: str
    limit: int
    #: Points that the query uses as examples; they are excluded from its results.
    named_points: list[PointId] = field(default_factory=list)


class QueryReader:
    """Reads the searches of one collection. Points that a search names are looked up in the shard.

    `read_filter` reads a filter; it returns `None` if the filter matches every point.
    """

    def __init__(
        self,
        shard: edge.EdgeShard,
        schema: VectorSchema,
        read_filter: Callable[[qdrant_common_pb2.Filter], edge.Filter | None],
    ) -> None:
        self._shard = shard
        self._schema = schema
        self._read_new_filter = read_filter
        self._filters: dict[bytes, edge.Filter | None] = {}

    def read_request(self, message: points_pb2.QueryPoints) -> edge.QueryRequest:
        """Reads a search with its prefetches, filter and parameters."""
        refuse_shard_key(message)
        return edge.QueryRequest(
            offset=message.offset,
            with_payload=read_payload_selector(message, default=False),
            with_vector=read_vector_selector(message),
            **self._read_level(message),
        )

    def _read_filter(self, message: qdrant_common_pb2.Filter) -> edge.Filter | None:
        """Reads a filter, which the searches and prefetches of a request often share, once."""
        key = message.SerializeToString()
        if key not in self._filters:
            self._filters[key] = self._read_new_filter(message)
        return self._filters[key]

    def _read_prefetch(self, message: points_pb2.PrefetchQuery) -> edge.Prefetch:
        return edge.Prefetch(**self._read_level(message))

    def _read_level(self, message: points_pb2.QueryPoints | points_pb2.PrefetchQuery) -> dict[str, Any]:
        if message.HasField("lookup_from"):
            raise unsupported("vectors looked up in another collection")
        level = _QueryLevel(message.using, message.limit if message.HasField("limit") else DEFAULT_LIMIT)
        query = self._read_query(message.query, level) if message.HasField("query") else None
        filter = self._read_filter(message.filter) if message.HasField("filter") else None
        if isinstance(query, edge.TextQuery) and message.prefetch:
            raise invalid_argument("a text query cannot score prefetched points")
        return {
            "query": query,
            "prefetches": [self._read_prefetch(prefetch) for prefetch in message.prefetch] or None,
            "filter": exclude_points(filter, level.named_points),
            "score_threshold": read_optional(message, "score_threshold"),
            "limit": level.limit,
            "params": _read_search_params(message.params) if message.HasField("params") else None,
        }

    def _read_query(self, message: points_pb2.Query, level: _QueryLevel) -> Any:
        kind = message.WhichOneof("variant")
        if kind == "nearest":
            return edge.Query.Nearest(self._read_input(message.nearest, level), level.using)
        if kind == "recommend":
            return self._read_recommendation(message.recommend, level)
        if kind == "order_by":
            return read_order_by(message.order_by)
        if kind == "fusion":
            return _read_fusion(message.fusion)
        if kind == "rrf":
            k = message.rrf.k if message.rrf.HasField("k") else _DEFAULT_RRF_K
            if k == 0:
                raise invalid_argument("the constant k of a fusion is 0")
            return edge.Fusion.Rrf(k, message.rrf.weights[:] or None)
        if kind == "sample":
            return read_enum({points_pb2.Random: edge.Sample.Random}, message.sample)
        if kind == "nearest_with_mmr":
            return self._read_diverse(message.nearest_with_mmr, level)
        if kind == "discover":
            target = self._read_input(message.discover.target, level)
            pairs = self._read_pairs(message.discover.context, level)
            return edge.Query.Discover(edge.DiscoverQuery(target, pairs), level.using)
        if kind == "context":
            return edge.Query.Context(edge.ContextQuery(self._read_pairs(message.context, level)), level.using)
        if kind == "formula":
            return read_formula(message.formula)
        if kind == "relevance_feedback":
            return self._read_feedback(message.relevance_feedback, level)
        if kind == "text":
            return _read_text_query(message.text, level.using)
        raise invalid_argument("the query is empty")

    def _read_input(self, message: points_pb2.VectorInput, level: _QueryLevel) -> Vector:
        kind = message.WhichOneof("variant")
        if kind == "id":
            return self._look_up(read_point_id(message.id), level)
        if kind == "dense":
            vector: Vector = message.dense.data[:]
        elif kind == "sparse":
            vector = read_sparse(message.sparse.indices[:], message.sparse.values[:])
        elif kind == "multi_dense":
            vector = read_multi(message.multi_dense)
        elif kind is None:
            raise invalid_argument("a query has no vector")
        else:
            raise refuse_inference()
        check_vector(level.using, vector, self._schema)
        return vector

    def _look_up(self, point_id: PointId, level: _QueryLevel) -> Vector:
        if level.using not in self._schema:
            raise invalid_argument(f"Not existing vector name error: {level.using}")
        level.named_points.append(point_id)
        records = self._shard.retrieve([point_id], False, [level.using])
        vectors = records[0].vector if records else None
        vector = vectors.get(level.using) if isinstance(vectors, dict) else vectors
        if vector is None:
            raise not_found(f"No point with id {point_id} found")
        return vector

    def _read_inputs(self, messages: Iterable[points_pb2.VectorInput], level: _QueryLevel) -> list[Vector]:
        return [self._read_input(message, level) for message in messages]

    def _read_pairs(self, message: points_pb2.ContextInput, level: _QueryLevel) -> list[edge.ContextPair]:
        return [
            edge.ContextPair(self._read_input(pair.positive, level), self._read_input(pair.negative, level))
            for pair in message.pairs
        ]

    def _read_recommendation(self, message: points_pb2.RecommendInput, level: _QueryLevel) -> Any:
        positives = self._read_inputs(message.positive, level)
        negatives = self._read_inputs(message.negative, level)
        if message.strategy == points_pb2.AverageVector:
            return edge.Query.Nearest(_average_examples(positives, negatives), level.using)
        if not positives and not negatives:
            raise invalid_argument("a recommendation needs an example")
        recommend = read_enum(_RECOMMENDATIONS, message.strategy)
        return recommend(edge.RecommendQuery(positives, negatives), level.using)

    def _read_feedback(self, message: points_pb2.RelevanceFeedbackInput, level: _QueryLevel) -> Any:
        if message.strategy.WhichOneof("variant") != "naive":
            raise invalid_argument("relevance feedback has no strategy")
        target = self._read_input(message.target, level)
        feedback = [edge.FeedbackItem(self._read_input(item.example, level), item.score) for item in message.feedback]
        naive = message.strategy.naive
        strategy = edge.NaiveFeedbackStrategy(naive.a, naive.b, naive.c)
        return edge.Query.FeedbackNaive(edge.FeedbackNaiveQuery(target, feedback, strategy), level.using)

    def _read_diverse(self, message: points_pb2.NearestInputWithMmr, level: _QueryLevel) -> edge.Mmr:
        diversity = message.mmr.diversity if message.mmr.HasField("diversity") else _DEFAULT_DIVERSITY
        if not 0.0 <= diversity <= 1.0:
            raise invalid_argument("the diversity is not between 0 and 1")
        candidates = message.mmr.candidates_limit if message.mmr.HasField("candidates_limit") else level.limit
        return edge.Mmr(self._read_input(message.nearest, level), 1.0 - diversity, candidates, level.using)


def _read_fusion(number: int) -> Any:
    if number == points_pb2.RRF:
        return edge.Fusion.Rrf(_DEFAULT_RRF_K)
    return read_enum({points_pb2.DBSF: edge.Fusion.Dbsf}, number)()


def _read_text_query(message: points_pb2.TextQuery, field: str) -> edge.TextQuery:
    scoring = None
    if message.HasField("bm25"):
        scoring = edge.Bm25Params(read_optional(message.bm25, "k"), read_optional(message.bm25, "b"))
    return edge.TextQuery(field, message.query, scoring)


def _read_search_params(message: points_pb2.SearchParams) -> edge.SearchParams:
    quantization = acorn = idf = None
    if message.HasField("quantization"):
        quantization = edge.QuantizationSearchParams(
            message.quantization.ignore,
            read_optional(message.quantization, "rescore"),
            read_optional(message.quantization, "oversampling"),
        )
    if message.HasField("acorn"):
        acorn = edge.AcornSearchParams(message.acorn.enable, read_optional(message.acorn, "max_selectivity"))
    if message.HasField("idf"):
        idf = edge.IdfParams(read_filter(message.idf.corpus) if message.idf.HasField("corpus") else None)
    return edge.SearchParams(
        hnsw_ef=read_optional(message, "hnsw_ef"),
        exact=message.exact,
        quantization=quantization,
        indexed_only=message.indexed_only,
        acorn=acorn,
        idf=idf,
    )


def _average_examples(positives: list[Vector], negatives: list[Vector]) -> list[float]:
    """Qdrant's average strategy: the mean of the positives plus its difference to the mean of the negatives."""
    positive = _mean(positives)
    if positive is None:
        raise invalid_argument("a recommendation by average needs a positive example")
    negative = _mean(negatives)
    if negative is None:
        return positive
    return [liked + liked - disliked for liked, disliked in zip(positive, negative, strict=True)]


def _mean(vectors: list[Vector]) -> list[float] | None:
    if any(isinstance(vector, edge.SparseVector) or isinstance(vector[0], list) for vector in vectors):
        raise unsupported("recommendations by average of sparse or multi vectors")
    return [sum(values) / len(vectors) for values in zip(*vectors, strict=True)] if vectors else None
