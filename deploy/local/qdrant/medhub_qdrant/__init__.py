"""Qdrant's gRPC API over the embedded engine of the package `qdrant-edge-py`, for development machines.

The server has one thread with an event loop. A call of the engine holds the interpreter's lock from start to end, so
several threads would only wait for each other; with one thread, calls never overlap. Optimization, which takes long,
runs in another process on a copy of the data.
"""

#: Version of Qdrant's API that is served; clients compare it with their own.
API_VERSION = "1.20.0"
