"""Qdrant's gRPC API over the embedded engine of the package `qdrant-edge-py`, for development machines.

The server is one thread with an event loop. Calls of the engine hold the interpreter's lock from start to end, so that
threads would only wait for each other; with one thread, no call overlaps with another one. Optimization, which takes
the engine long, runs in another process, on a copy of the data.
"""

#: Version of Qdrant's API that is served; clients compare it with their own.
API_VERSION = "1.20.0"
