"""Converts Qdrant's protobuf messages into the engine's objects, and back.

Values that the engine would refuse only after a part of a change, or not at all, are refused here. An absent optional
field becomes `None`, for which the engine uses its default.
"""
