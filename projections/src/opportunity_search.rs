//! Search in `Qdrant`: one point for each opportunity, found by the meaning of its notice and by the words and numbers
//! in it. The texts of tenants ([`SearchUnit`]) are in a separate collection.
//!
//! The id of a point is derived from the opportunity's id; its payload has the sequence of the event that set its
//! notice details, and the hash of the embedded text. Therefore a repeated event changes nothing, and an unchanged text
//! is not embedded again, not even in a rebuild.

mod client;
mod collection;
mod collection_check;
mod desired_point;
pub mod embedding;
mod expanded_query;
mod notice_codes;
mod opportunity_document;
mod point;
mod point_filter;
mod projection;
mod queries;
mod query_vector_cache;
mod ranking;
mod recommendations;
mod search_ranking;
mod tenant_search;
mod term_rarity;
mod terms;
mod text_query;
mod title_words_cache;
mod verify;
mod vocabulary;
mod write;
mod write_plan;

pub use self::{
    client::OpportunitySearch,
    embedding::{Embedder, EmbeddingConfig, EmbeddingError, StaticModel},
    opportunity_document::OpportunityDocument,
    projection::SearchChange,
    queries::OpportunityHit,
    recommendations::RecommendationPreferences,
    search_ranking::SearchRanking,
    tenant_search::{DocumentTextSource, DocumentTextSourceError, SearchUnit, SearchUnitKind, TenantSearchHit},
    text_query::{OpportunityText, TextQuery, TextQueryBuilder},
};
