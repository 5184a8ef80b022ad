"""Settings of quantized vectors, which the engine stores beside the vectors of optimized segments."""

from __future__ import annotations

from typing import Any

import qdrant_edge as edge
from qdrant_grpc import collections_pb2

from .scalars import read_enum, read_optional

_COMPRESSIONS = {
    collections_pb2.x4: edge.CompressionRatio.X4,
    collections_pb2.x8: edge.CompressionRatio.X8,
    collections_pb2.x16: edge.CompressionRatio.X16,
    collections_pb2.x32: edge.CompressionRatio.X32,
    collections_pb2.x64: edge.CompressionRatio.X64,
}
_ENCODINGS = {
    collections_pb2.OneBit: edge.BinaryQuantizationEncoding.OneBit,
    collections_pb2.TwoBits: edge.BinaryQuantizationEncoding.TwoBits,
    collections_pb2.OneAndHalfBits: edge.BinaryQuantizationEncoding.OneAndHalfBits,
}
_QUERY_ENCODINGS = {
    collections_pb2.BinaryQuantizationQueryEncoding.Default: edge.BinaryQuantizationQueryEncoding.Default,
    collections_pb2.BinaryQuantizationQueryEncoding.Binary: edge.BinaryQuantizationQueryEncoding.Binary,
    collections_pb2.BinaryQuantizationQueryEncoding.Scalar4Bits: edge.BinaryQuantizationQueryEncoding.Scalar4Bits,
    collections_pb2.BinaryQuantizationQueryEncoding.Scalar8Bits: edge.BinaryQuantizationQueryEncoding.Scalar8Bits,
}
_BITS = {
    collections_pb2.Bits1: edge.TurboQuantBitSize.Bits1,
    collections_pb2.Bits1_5: edge.TurboQuantBitSize.Bits1_5,
    collections_pb2.Bits2: edge.TurboQuantBitSize.Bits2,
    collections_pb2.Bits4: edge.TurboQuantBitSize.Bits4,
    collections_pb2.Bits8: edge.TurboQuantBitSize.Bits8,
}


def read_quantization(settings: Any) -> Any:
    """Reads the quantization in the settings of a collection or a vector; `None` if there is none."""
    if not settings.HasField("quantization_config"):
        return None
    kind = settings.quantization_config.WhichOneof("quantization")
    if kind is None:
        return None
    quantization = getattr(settings.quantization_config, kind)
    if kind == "scalar":
        kinds = {collections_pb2.Int8: edge.ScalarType.Int8}
        return edge.ScalarQuantizationConfig(
            read_enum(kinds, quantization.type), read_optional(quantization, "quantile")
        )
    if kind == "product":
        return edge.ProductQuantizationConfig(read_enum(_COMPRESSIONS, quantization.compression))
    if kind == "binary":
        return edge.BinaryQuantizationConfig(
            encoding=_read_member(_ENCODINGS, quantization, "encoding"),
            query_encoding=_read_member(_QUERY_ENCODINGS, quantization.query_encoding, "setting"),
        )
    return edge.TurboQuantQuantizationConfig(bits=_read_member(_BITS, quantization, "bits"))


def _read_member(members: dict[Any, Any], message: Any, field: str) -> Any:
    number = read_optional(message, field)
    return None if number is None else read_enum(members, number)
