"""Errors that clients receive as gRPC statuses, with the texts that Qdrant uses."""

from __future__ import annotations

import grpc


class RequestError(Exception):
    """A request that is answered with a status instead of a result."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invalid_argument(reason: object) -> RequestError:
    """The error for an invalid request."""
    return RequestError(grpc.StatusCode.INVALID_ARGUMENT, f"Wrong input: {reason}")


def unsupported(feature: str) -> RequestError:
    """The error for a feature of Qdrant's server that this server does not support."""
    return RequestError(grpc.StatusCode.UNIMPLEMENTED, f"the local qdrant engine does not support {feature}")


def not_found(what: str) -> RequestError:
    """The error for an object that does not exist."""
    return RequestError(grpc.StatusCode.NOT_FOUND, f"Not found: {what}")


def collection_not_found(name: str) -> RequestError:
    """The error for a collection that does not exist."""
    return not_found(f"Collection `{name}` doesn't exist!")


def internal(reason: object) -> RequestError:
    """The error for a failure of the server itself."""
    return RequestError(grpc.StatusCode.INTERNAL, f"Service internal error: {reason}")


#: The status for each beginning of the engine's messages; any other message is a failure of the server.
_ENGINE_STATUSES: tuple[tuple[str, grpc.StatusCode], ...] = (
    ("No point with id", grpc.StatusCode.NOT_FOUND),
    ("Vector dimension error", grpc.StatusCode.INVALID_ARGUMENT),
    ("Not existing vector name", grpc.StatusCode.INVALID_ARGUMENT),
    ("Payload type does not match", grpc.StatusCode.INVALID_ARGUMENT),
    ("Unable to infer type", grpc.StatusCode.INVALID_ARGUMENT),
    ("Validation failed", grpc.StatusCode.INVALID_ARGUMENT),
    ("Wrong usage of", grpc.StatusCode.INVALID_ARGUMENT),
    ("No range index", grpc.StatusCode.INVALID_ARGUMENT),
    ("No appropriate index", grpc.StatusCode.INVALID_ARGUMENT),
    ("Expected ", grpc.StatusCode.INVALID_ARGUMENT),
    ("The expression ", grpc.StatusCode.INVALID_ARGUMENT),
    ("Operation cancelled", grpc.StatusCode.CANCELLED),
    ("Timeout error", grpc.StatusCode.DEADLINE_EXCEEDED),
    ("Out of memory", grpc.StatusCode.RESOURCE_EXHAUSTED),
    ("Out of disk", grpc.StatusCode.RESOURCE_EXHAUSTED),
)


def is_engine_error(error: BaseException) -> bool:
    """Whether the engine raised the error: it raises plain `Exception`, and a class of its own if it panics."""
    return type(error) is Exception or is_engine_panic(error)


def is_engine_panic(error: BaseException) -> bool:
    """Whether the error is a panic of the engine. Its class derives from `BaseException` and cannot be imported."""
    return type(error).__name__ == "PanicException"


def translate_engine_error(error: BaseException) -> RequestError:
    """Converts an error of the engine to a status."""
    text = str(error)
    for beginning, code in _ENGINE_STATUSES:
        if text.startswith(beginning) and not is_engine_panic(error):
            prefix = "Not found" if code is grpc.StatusCode.NOT_FOUND else "Wrong input"
            return RequestError(code, f"{prefix}: {text}")
    return internal(text)
