"""Payloads, which are JSON objects: maps of protobuf values on the wire, dictionaries for the engine."""

from __future__ import annotations

from collections.abc import MutableMapping
from math import isfinite
from typing import Any

from qdrant_grpc import json_with_int_pb2

from ..errors import invalid_argument


def read_payload(fields: MutableMapping[str, json_with_int_pb2.Value]) -> dict[str, Any]:
    """Reads a payload for the engine."""
    # Faster than `items`, which also looks up every name.
    return {name: read_value(fields[name]) for name in fields}


def read_value(value: json_with_int_pb2.Value) -> Any:
    """Reads a value of a payload for the engine; a value without a kind is null."""
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "list_value":
        return [read_value(item) for item in value.list_value.values]
    if kind == "struct_value":
        return read_payload(value.struct_value.fields)
    if kind is None or kind == "null_value":
        return None
    if kind == "double_value" and not isfinite(value.double_value):
        raise invalid_argument(f"{value.double_value} is not a number in JSON")
    return getattr(value, kind)


def write_payload(payload: dict[str, Any], fields: MutableMapping[str, json_with_int_pb2.Value]) -> None:
    """Writes a payload that the engine returned."""
    for name, value in payload.items():
        _write_value(value, fields[name])


def _write_value(value: Any, message: json_with_int_pb2.Value) -> None:
    if isinstance(value, str):
        message.string_value = value
    elif isinstance(value, bool):
        message.bool_value = value
    elif isinstance(value, int):
        message.integer_value = value
    elif isinstance(value, float):
        message.double_value = value
    elif isinstance(value, list):
        # Makes the list present even if it is empty.
        message.list_value.SetInParent()
        for item in value:
            _write_value(item, message.list_value.values.add())
    elif isinstance(value, dict):
        message.struct_value.SetInParent()
        write_payload(value, message.struct_value.fields)
    else:
        message.null_value = json_with_int_pb2.NULL_VALUE
