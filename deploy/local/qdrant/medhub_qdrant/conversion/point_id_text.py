"""Makes the engine return the UUIDs of points as text, which is what responses contain."""

from __future__ import annotations

import uuid

import qdrant_edge as edge

_NIL = "00000000-0000-0000-0000-000000000000"


class _HexDigits(type):
    """A class that is called like `UUID` and returns the hexadecimal digits.

    The binding calls `UUID` with five positional arguments, of which the last is the number.
    """

    __call__ = "{4:032x}".format


class _UuidDigits(metaclass=_HexDigits):
    pass


def return_digits_of_uuids() -> None:
    """Makes the binding return the 32 digits of each UUID from now on, instead of an object of the class `UUID`.

    Creating and formatting such an object takes half of the time that a search spends outside of the engine. The binding
    looks the class up once, when it first returns a UUID; a binding that does not keep it returns objects as before.
    """
    original = uuid.UUID
    uuid.UUID = _UuidDigits  # type: ignore[assignment, misc]
    try:
        _ = edge.Point(_NIL, {}, {}).id
    finally:
        uuid.UUID = original  # type: ignore[misc]
