"""Formulas that score the points of a search."""

from __future__ import annotations

from typing import Any

import qdrant_edge as edge
from qdrant_grpc import points_pb2

from ..errors import invalid_argument
from .filters import read_condition, read_geo_point
from .payloads import read_payload
from .scalars import read_optional

_UNARY = {
    "neg": edge.Expression.Neg,
    "abs": edge.Expression.Abs,
    "sqrt": edge.Expression.Sqrt,
    "exp": edge.Expression.Exp,
    "log10": edge.Expression.Log10,
    "ln": edge.Expression.Ln,
    "acosh": edge.Expression.Acosh,
}
_LEAVES = {
    "constant": edge.Expression.Constant,
    "variable": edge.Expression.Variable,
    "datetime": edge.Expression.Datetime,
    "datetime_key": edge.Expression.DatetimeKey,
}
#: Expressions with any number of operands, which are in a field with the name of the expression.
_LISTS = {
    "mult": edge.Expression.Mult,
    "sum": edge.Expression.Sum,
    "max": edge.Expression.Max,
    "min": edge.Expression.Min,
}
_DECAYS = {
    "exp_decay": edge.DecayKind.Exp,
    "gauss_decay": edge.DecayKind.Gauss,
    "lin_decay": edge.DecayKind.Lin,
}


def read_formula(message: points_pb2.Formula) -> edge.Formula:
    """Reads a formula with the defaults of variables that a point lacks."""
    return edge.Formula(_read_expression(message.expression), read_payload(message.defaults))


def _read_expression(message: points_pb2.Expression) -> Any:
    kind = message.WhichOneof("variant")
    if kind in _LEAVES:
        return _LEAVES[kind](getattr(message, kind))
    if kind in _UNARY:
        return _UNARY[kind](_read_expression(getattr(message, kind)))
    if kind in _LISTS:
        operands = getattr(getattr(message, kind), kind)
        return _LISTS[kind]([_read_expression(operand) for operand in operands])
    if kind in _DECAYS:
        return _read_decay(_DECAYS[kind], getattr(message, kind))
    if kind == "condition":
        return edge.Expression.Condition(read_condition(message.condition))
    if kind == "geo_distance":
        return edge.Expression.GeoDistance(read_geo_point(message.geo_distance.origin), message.geo_distance.to)
    if kind == "div":
        return edge.Expression.Div(
            _read_expression(message.div.left),
            _read_expression(message.div.right),
            read_optional(message.div, "by_zero_default"),
        )
    if kind == "pow":
        return edge.Expression.Pow(_read_expression(message.pow.base), _read_expression(message.pow.exponent))
    raise invalid_argument("an expression of a formula is empty")


def _read_decay(kind: edge.DecayKind, message: points_pb2.DecayParamsExpression) -> Any:
    target = _read_expression(message.target) if message.HasField("target") else None
    return edge.Expression.Decay(
        kind,
        _read_expression(message.x),
        target,
        read_optional(message, "midpoint"),
        read_optional(message, "scale"),
    )
