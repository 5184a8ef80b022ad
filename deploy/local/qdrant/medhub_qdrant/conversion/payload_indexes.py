"""Indexes over values of the payload."""

from __future__ import annotations

from typing import Any

import qdrant_edge as edge
from qdrant_grpc import collections_pb2, points_pb2

from ..errors import invalid_argument
from .scalars import read_enum, read_optional

_TYPES = {
    points_pb2.FieldTypeKeyword: edge.PayloadSchemaType.Keyword,
    points_pb2.FieldTypeInteger: edge.PayloadSchemaType.Integer,
    points_pb2.FieldTypeFloat: edge.PayloadSchemaType.Float,
    points_pb2.FieldTypeGeo: edge.PayloadSchemaType.Geo,
    points_pb2.FieldTypeText: edge.PayloadSchemaType.Text,
    points_pb2.FieldTypeBool: edge.PayloadSchemaType.Bool,
    points_pb2.FieldTypeDatetime: edge.PayloadSchemaType.Datetime,
    points_pb2.FieldTypeUuid: edge.PayloadSchemaType.Uuid,
}
_REPORTED_TYPES = {
    edge.PayloadSchemaType.Keyword: collections_pb2.Keyword,
    edge.PayloadSchemaType.Integer: collections_pb2.Integer,
    edge.PayloadSchemaType.Float: collections_pb2.Float,
    edge.PayloadSchemaType.Geo: collections_pb2.Geo,
    edge.PayloadSchemaType.Text: collections_pb2.Text,
    edge.PayloadSchemaType.Bool: collections_pb2.Bool,
    edge.PayloadSchemaType.Datetime: collections_pb2.Datetime,
    edge.PayloadSchemaType.Uuid: collections_pb2.Uuid,
}
_TOKENIZERS = {
    collections_pb2.Unknown: edge.TokenizerType.Word,
    collections_pb2.Prefix: edge.TokenizerType.Prefix,
    collections_pb2.Whitespace: edge.TokenizerType.Whitespace,
    collections_pb2.Word: edge.TokenizerType.Word,
    collections_pb2.Multilingual: edge.TokenizerType.Multilingual,
    collections_pb2.Code: edge.TokenizerType.Code,
}
#: The engine's class for the parameters of each type, and the parameters that change the results of queries. Hints on
#: memory and disk do not, and are not passed on.
_PARAMETERS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "keyword_index_params": (edge.KeywordIndexParams, ("is_tenant", "enable_hnsw", "nested")),
    "integer_index_params": (
        edge.IntegerIndexParams,
        ("lookup", "range", "is_principal", "enable_hnsw", "nested"),
    ),
    "float_index_params": (edge.FloatIndexParams, ("is_principal", "enable_hnsw", "nested")),
    "geo_index_params": (edge.GeoIndexParams, ("enable_hnsw", "nested")),
    "text_index_params": (
        edge.TextIndexParams,
        ("min_token_len", "max_token_len", "lowercase", "ascii_folding", "phrase_matching", "enable_hnsw", "nested"),
    ),
    "bool_index_params": (edge.BoolIndexParams, ("enable_hnsw", "nested")),
    "datetime_index_params": (edge.DatetimeIndexParams, ("is_principal", "enable_hnsw", "nested")),
    "uuid_index_params": (edge.UuidIndexParams, ("is_tenant", "enable_hnsw", "nested")),
}


def read_index_schema(request: points_pb2.CreateFieldIndexCollection) -> Any:
    """Reads the type of an index, with its parameters if the request has some."""
    kind = request.field_index_params.WhichOneof("index_params")
    if kind is not None:
        return _read_parameters(kind, getattr(request.field_index_params, kind))
    if not request.HasField("field_type"):
        raise invalid_argument("the index has no type")
    return read_enum(_TYPES, request.field_type)


def write_index_info(info: edge.PayloadIndexInfo, message: collections_pb2.PayloadSchemaInfo) -> None:
    """Writes the information about one index of a collection."""
    message.data_type = _REPORTED_TYPES[info.data_type]
    message.points = info.points


def _read_parameters(kind: str, message: Any) -> Any:
    parameters, names = _PARAMETERS[kind]
    values = {name: read_optional(message, name) for name in names}
    if kind == "keyword_index_params" and message.HasField("prefix"):
        values["prefix"] = True
    if kind == "text_index_params":
        values["tokenizer"] = read_enum(_TOKENIZERS, message.tokenizer)
        if message.HasField("stopwords"):
            values["stopwords"] = _read_stopwords(message.stopwords)
        if message.HasField("stemmer"):
            values["stemmer"] = _read_stemmer(message.stemmer)
        if message.HasField("scoring"):
            values["scoring"] = True
    return parameters(**values)


def _read_stopwords(message: collections_pb2.StopwordsSet) -> edge.StopwordsSet:
    languages = {_read_language(edge.Language, name) for name in message.languages}
    return edge.StopwordsSet(languages, set(message.custom))


def _read_stemmer(message: collections_pb2.StemmingAlgorithm) -> Any:
    if message.WhichOneof("stemming_params") == "snowball":
        return edge.SnowballParams(_read_language(edge.SnowballLanguage, message.snowball.language))
    return edge.DisabledStemmer()


def _read_language(languages: Any, name: str) -> Any:
    language = getattr(languages, name.capitalize(), None)
    if not isinstance(language, languages):
        raise invalid_argument(f"`{name}` is not a language of a text index")
    return language
