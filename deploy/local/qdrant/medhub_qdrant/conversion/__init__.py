"""Converts Qdrant's protobuf messages into the engine's objects, and back.

What the engine would refuse only after a part of a change, or not at all, is refused here. In messages with
optional fields an absent one is `None` to the engine, which then uses its own default.
"""
