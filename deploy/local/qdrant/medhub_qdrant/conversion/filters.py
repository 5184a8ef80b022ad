"""Filters: conditions on payload, identifiers and vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import qdrant_edge as edge
from qdrant_grpc import qdrant_common_pb2

from ..errors import invalid_argument
from .scalars import PointId, read_optional, read_point_ids, read_timestamp


def read_optional_filter(request: Any, field: str = "filter") -> edge.Filter | None:
    """Reads the filter in a field of a request; `None` if it is absent."""
    return read_filter(getattr(request, field)) if request.HasField(field) else None


def read_filter(message: qdrant_common_pb2.Filter) -> edge.Filter:
    """Reads a filter. One without conditions matches every point."""
    min_should = None
    if message.HasField("min_should"):
        conditions = _read_conditions(message.min_should.conditions)
        min_should = edge.MinShould(conditions, message.min_should.min_count)
    return edge.Filter(
        must=_read_conditions(message.must) or None,
        should=_read_conditions(message.should) or None,
        must_not=_read_conditions(message.must_not) or None,
        min_should=min_should,
    )


def exclude_points(filter: edge.Filter | None, point_ids: Iterable[PointId]) -> edge.Filter | None:
    """Returns the filter, extended so that it matches none of these points."""
    excluded = set(point_ids)
    if not excluded:
        return filter
    return edge.Filter(must=None if filter is None else [filter], must_not=[edge.HasIdCondition(excluded)])


def read_condition(message: qdrant_common_pb2.Condition) -> Any:
    """Reads one condition."""
    kind = message.WhichOneof("condition_one_of")
    if kind == "field":
        return _read_field_condition(message.field)
    if kind == "is_empty":
        return edge.IsEmptyCondition(message.is_empty.key)
    if kind == "is_null":
        return edge.IsNullCondition(message.is_null.key)
    if kind == "has_id":
        return edge.HasIdCondition(set(read_point_ids(message.has_id.has_id)))
    if kind == "has_vector":
        return edge.HasVectorCondition(message.has_vector.has_vector)
    if kind == "filter":
        return read_filter(message.filter)
    if kind == "nested":
        return edge.NestedCondition(message.nested.key, read_filter(message.nested.filter))
    if kind == "slice":
        return _read_slice(message.slice)
    raise invalid_argument("a condition is empty")


def _read_conditions(messages: Iterable[qdrant_common_pb2.Condition]) -> list[Any]:
    return [read_condition(message) for message in messages]


def _read_slice(message: qdrant_common_pb2.SliceCondition) -> edge.SliceCondition:
    if message.index >= message.total:
        raise invalid_argument(f"the slice {message.index} is not below its total {message.total}")
    return edge.SliceCondition(message.total, message.index)


def _read_field_condition(message: qdrant_common_pb2.FieldCondition) -> edge.FieldCondition:
    tests: dict[str, Any] = {}
    if message.HasField("match"):
        tests["match"] = _read_match(message.match)
    if message.HasField("range"):
        tests["range"] = edge.RangeFloat(**_read_bounds(message.range))
    if message.HasField("datetime_range"):
        if "range" in tests:
            raise invalid_argument("a condition has two ranges")
        bounds = _read_bounds(message.datetime_range)
        tests["range"] = edge.RangeDateTime(**{name: read_timestamp(time) for name, time in bounds.items()})
    if message.HasField("values_count"):
        tests["values_count"] = edge.ValuesCount(**_read_bounds(message.values_count))
    if message.HasField("geo_bounding_box"):
        tests["geo_bounding_box"] = _read_bounding_box(message.geo_bounding_box)
    if message.HasField("geo_radius"):
        tests["geo_radius"] = edge.GeoRadius(_read_geo_field(message.geo_radius, "center"), message.geo_radius.radius)
    if message.HasField("geo_polygon"):
        tests["geo_polygon"] = _read_polygon(message.geo_polygon)
    for name in ("is_empty", "is_null"):
        if message.HasField(name):
            tests[name] = getattr(message, name)
    if not tests:
        raise invalid_argument(f"the condition on `{message.key}` is empty")
    return edge.FieldCondition(message.key, **tests)


def _read_bounds(message: Any) -> dict[str, Any]:
    bounds = {name: read_optional(message, name) for name in ("lt", "gt", "gte", "lte")}
    return {name: bound for name, bound in bounds.items() if bound is not None}


class _NumpyBoolean:
    """A boolean for `MatchValue`, which tries integers first and takes Python's booleans for integers.

    The binding also accepts the boolean of NumPy, which is not an integer, and which it recognizes by the names of its
    module and class.
    """

    __slots__ = ("_value",)

    def __init__(self, value: bool) -> None:
        self._value = value

    def __bool__(self) -> bool:
        return self._value


_NumpyBoolean.__module__, _NumpyBoolean.__name__ = "numpy", "bool_"

#: Converts each kind of a match to the engine's.
_MATCHES: dict[str, Callable[[Any], Any]] = {
    "keyword": edge.MatchValue,
    "integer": edge.MatchValue,
    "boolean": lambda value: edge.MatchValue(_NumpyBoolean(value)),
    "text": edge.MatchText,
    "text_any": edge.MatchTextAny,
    "phrase": edge.MatchPhrase,
    "prefix": edge.MatchPrefix,
    "substring": edge.MatchSubstring,
    "keywords": lambda list: edge.MatchAny(list.strings[:]),
    "integers": lambda list: edge.MatchAny(list.integers[:]),
    "except_keywords": lambda list: edge.MatchExcept(list.strings[:]),
    "except_integers": lambda list: edge.MatchExcept(list.integers[:]),
}


def _read_match(message: qdrant_common_pb2.Match) -> Any:
    kind = message.WhichOneof("match_value")
    if kind is None:
        raise invalid_argument("a match has no value")
    return _MATCHES[kind](getattr(message, kind))


def read_geo_point(message: qdrant_common_pb2.GeoPoint) -> edge.GeoPoint:
    """Reads a geographic point."""
    return edge.GeoPoint(message.lon, message.lat)


def _read_geo_field(message: Any, field: str) -> edge.GeoPoint:
    if not message.HasField(field):
        raise invalid_argument(f"a geographic condition has no `{field}`")
    return read_geo_point(getattr(message, field))


def _read_bounding_box(message: qdrant_common_pb2.GeoBoundingBox) -> edge.GeoBoundingBox:
    return edge.GeoBoundingBox(_read_geo_field(message, "top_left"), _read_geo_field(message, "bottom_right"))


def _read_polygon(message: qdrant_common_pb2.GeoPolygon) -> edge.GeoPolygon:
    exterior = [read_geo_point(point) for point in message.exterior.points]
    interiors = [[read_geo_point(point) for point in line.points] for line in message.interiors]
    return edge.GeoPolygon(exterior, interiors or None)
