"""Point identifiers, enums, times and shard keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar
from uuid import UUID

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from qdrant_grpc import qdrant_common_pb2

from ..errors import invalid_argument, unsupported
from .point_id_text import return_digits_of_uuids

T = TypeVar("T")

#: The number of a point or its UUID. The engine parses UUIDs as text, and returns their digits without hyphens.
PointId = int | str | UUID

return_digits_of_uuids()


def read_point_id(message: qdrant_common_pb2.PointId) -> PointId:
    """Reads the number of a point, or its UUID as text, which the engine parses."""
    kind = message.WhichOneof("point_id_options")
    if kind == "num":
        return message.num
    if kind == "uuid":
        return message.uuid
    raise invalid_argument("a point has no id")


def read_point_ids(messages: Iterable[qdrant_common_pb2.PointId]) -> list[PointId]:
    """Reads the identifiers of several points."""
    return [read_point_id(message) for message in messages]


def write_point_id(point_id: PointId, message: qdrant_common_pb2.PointId) -> None:
    """Writes the identifier of a point that the engine returned."""
    if isinstance(point_id, str):
        digits = point_id
        message.uuid = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
    elif isinstance(point_id, int):
        message.num = point_id
    else:
        message.uuid = str(point_id)


def read_optional(message: Message, field: str) -> Any:
    """Returns the value of an optional field; `None` if it is absent."""
    return getattr(message, field) if message.HasField(field) else None


def read_enum(members: Mapping[Any, T], number: int) -> T:
    """Returns the engine's member for a number of a protobuf enum."""
    try:
        return members[number]
    except KeyError:
        raise unsupported(f"the value {number} of an enum") from None


def read_timestamp(message: Timestamp) -> str:
    """Reads a time in the form that the engine parses."""
    try:
        return message.ToJsonString()
    except ValueError as error:
        raise invalid_argument(f"a time is out of range: {error}") from None


def refuse_shard_key(request: Any) -> None:
    """Refuses a request that names a shard key: keys exist in clusters only."""
    if request.HasField("shard_key_selector") and request.shard_key_selector.shard_keys:
        raise unsupported("shard keys")
