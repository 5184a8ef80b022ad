"""Converts exceptions of handlers to gRPC statuses."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from .errors import RequestError, internal, invalid_argument, is_engine_error, translate_engine_error

_log = logging.getLogger(__name__)


class StatusInterceptor(grpc.aio.ServerInterceptor):
    """Answers a failed request with a status, and logs failures of the server itself.

    It also counts the requests in progress.
    """

    def __init__(self) -> None:
        self._in_progress = 0
        #: The handlers that answer with a status, by method.
        self._handlers: dict[str, grpc.RpcMethodHandler] = {}

    async def wait_until_idle(self, seconds: float) -> None:
        """Waits until no request is in progress, at most `seconds`."""
        deadline = time.monotonic() + seconds
        while self._in_progress > 0 and time.monotonic() < deadline:
            await asyncio.sleep(0.01)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        method = handler_call_details.method
        handler = self._handlers.get(method)
        if handler is None:
            handler = await continuation(handler_call_details)
            if handler is None or handler.unary_unary is None:
                return handler
            handler = self._handlers[method] = self._wrap_handler(method, handler)
        return handler

    def _wrap_handler(self, method: str, handler: grpc.RpcMethodHandler) -> grpc.RpcMethodHandler:
        """Makes a handler answer with a status when it fails."""
        handle, deserialize = handler.unary_unary, handler.request_deserializer

        def deserialize_or_fail(message: bytes) -> Any:
            try:
                return deserialize(message)
            except DecodeError as error:
                # Raised here, the error would become a status without a message.
                return error

        async def answer_with_status(request: Any, context: grpc.aio.ServicerContext) -> Any:
            self._in_progress += 1
            try:
                if isinstance(request, DecodeError):
                    raise invalid_argument(request)
                return await handle(request, context)
            except BaseException as error:
                status = _status_of(error)
                if status is None:
                    raise
                if status.code is grpc.StatusCode.INTERNAL:
                    _log.error("%s failed", method, exc_info=error)
            finally:
                self._in_progress -= 1
            await context.abort(status.code, status.message)

        return grpc.unary_unary_rpc_method_handler(answer_with_status, deserialize_or_fail, handler.response_serializer)


def _status_of(error: BaseException) -> RequestError | None:
    """Returns the status for an error; `None` if it is not an error of a request, such as a cancellation."""
    if isinstance(error, RequestError):
        return error
    if is_engine_error(error):
        return translate_engine_error(error)
    # The engine's constructors raise these for values out of range, and for identifiers, paths and times that cannot be
    # parsed.
    if isinstance(error, (ValueError, OverflowError)):
        return invalid_argument(error)
    if isinstance(error, Exception):
        return internal(f"{type(error).__name__}: {error}")
    return None
