//! Indexes over values of the payload.

use qdrant_client::qdrant::{self, FieldType, payload_index_params::IndexParams};
use qdrant_edge::{
    DatetimeIndexParams, FloatIndexParams, IntegerIndexParams, KeywordIndexParams, PayloadFieldSchema,
    PayloadIndexInfo, PayloadSchemaParams, PayloadSchemaType, TextIndexParams, TokenizerType, UuidIndexParams,
};
use tonic::Status;

use super::{member, size};
use crate::qdrant::refusal::{unsupported, wrong};

/// The schema that a request for an index asks for.
pub(crate) fn schema(
    field_type: Option<i32>,
    params: Option<qdrant::PayloadIndexParams>,
) -> Result<PayloadFieldSchema, Status> {
    if let Some(params) = params.and_then(|params| params.index_params) {
        return Ok(PayloadFieldSchema::FieldParams(with_params(params)?));
    }
    let kind = match field_type.map(member).transpose()?.ok_or_else(|| wrong("the index has no type"))? {
        FieldType::Keyword => PayloadSchemaType::Keyword,
        FieldType::Integer => PayloadSchemaType::Integer,
        FieldType::Float => PayloadSchemaType::Float,
        FieldType::Geo => PayloadSchemaType::Geo,
        FieldType::Text => PayloadSchemaType::Text,
        FieldType::Bool => PayloadSchemaType::Bool,
        FieldType::Datetime => PayloadSchemaType::Datetime,
        FieldType::Uuid => PayloadSchemaType::Uuid,
    };
    Ok(PayloadFieldSchema::FieldType(kind))
}

/// What a collection tells about one of its indexes.
pub(crate) fn info(info: &PayloadIndexInfo) -> qdrant::PayloadSchemaInfo {
    use qdrant::PayloadSchemaType as Wire;
    let kind = match info.data_type {
        PayloadSchemaType::Keyword => Wire::Keyword,
        PayloadSchemaType::Integer => Wire::Integer,
        PayloadSchemaType::Float => Wire::Float,
        PayloadSchemaType::Geo => Wire::Geo,
        PayloadSchemaType::Text => Wire::Text,
        PayloadSchemaType::Bool => Wire::Bool,
        PayloadSchemaType::Datetime => Wire::Datetime,
        PayloadSchemaType::Uuid => Wire::Uuid,
    };
    qdrant::PayloadSchemaInfo { data_type: kind.into(), params: None, points: Some(info.points as u64) }
}

/// Hints on memory and disk change no answer and are left to the engine.
fn with_params(params: IndexParams) -> Result<PayloadSchemaParams, Status> {
    Ok(match params {
        IndexParams::KeywordIndexParams(params) => {
            if params.prefix.is_some() || params.nested.is_some() {
                return Err(unsupported("prefix and nested indexes"));
            }
            let is_tenant = params.is_tenant;
            PayloadSchemaParams::Keyword(KeywordIndexParams { is_tenant, ..KeywordIndexParams::default() })
        }
        IndexParams::IntegerIndexParams(params) => {
            if params.nested.is_some() {
                return Err(unsupported("nested indexes"));
            }
            PayloadSchemaParams::Integer(IntegerIndexParams {
                lookup: params.lookup,
                range: params.range,
                is_principal: params.is_principal,
                ..IntegerIndexParams::default()
            })
        }
        IndexParams::FloatIndexParams(params) => {
            let is_principal = params.is_principal;
            PayloadSchemaParams::Float(FloatIndexParams { is_principal, ..FloatIndexParams::default() })
        }
        IndexParams::DatetimeIndexParams(params) => {
            let is_principal = params.is_principal;
            PayloadSchemaParams::Datetime(DatetimeIndexParams { is_principal, ..DatetimeIndexParams::default() })
        }
        IndexParams::UuidIndexParams(params) => {
            let is_tenant = params.is_tenant;
            PayloadSchemaParams::Uuid(UuidIndexParams { is_tenant, ..UuidIndexParams::default() })
        }
        IndexParams::TextIndexParams(params) => PayloadSchemaParams::Text(text(&params)?),
        IndexParams::GeoIndexParams(_) => PayloadSchemaParams::Geo(qdrant_edge::GeoIndexParams::default()),
        IndexParams::BoolIndexParams(_) => PayloadSchemaParams::Bool(qdrant_edge::BoolIndexParams::default()),
    })
}

fn text(params: &qdrant::TextIndexParams) -> Result<TextIndexParams, Status> {
    if params.stopwords.is_some() || params.stemmer.is_some() || params.scoring.is_some() || params.nested.is_some() {
        return Err(unsupported("stop words, stemmers and scores of text indexes"));
    }
    let tokenizer = match member(params.tokenizer)? {
        qdrant::TokenizerType::Unknown | qdrant::TokenizerType::Word => TokenizerType::Word,
        qdrant::TokenizerType::Prefix => TokenizerType::Prefix,
        qdrant::TokenizerType::Whitespace => TokenizerType::Whitespace,
        qdrant::TokenizerType::Multilingual => TokenizerType::Multilingual,
        qdrant::TokenizerType::Code => return Err(unsupported("the tokenizer for code")),
    };
    Ok(TextIndexParams {
        tokenizer,
        min_token_len: params.min_token_len.map(size).transpose()?,
        max_token_len: params.max_token_len.map(size).transpose()?,
        lowercase: params.lowercase,
        ascii_folding: params.ascii_folding,
        phrase_matching: params.phrase_matching,
        ..TextIndexParams::default()
    })
}
