"""Methods that the gRPC services have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from .errors import unsupported


def unsupported_method(feature: str) -> Callable[[Any, Any, Any], Awaitable[Any]]:
    """Returns a method that refuses every request with the name of the unsupported feature."""

    async def refuse(self: Any, request: Any, context: Any) -> Any:
        raise unsupported(feature)

    return refuse
