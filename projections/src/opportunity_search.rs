//! Search in `Qdrant`: one point per opportunity, found by what its notice is about and by the words and numbers in it; and
//! in a collection of its own what each tenant owns ([`SearchUnit`]).
//!
//! A point's id follows from the opportunity's id, its payload carries the sequence of the event that set its facts
//! and the hash of the text behind its vector: writing an event again changes nothing, and an unchanged text is not
//! embedded again, also not in a rebuild.

mod client;
mod collection;
mod config;
mod desired_point;
pub mod embedding;
mod expanded_query;
mod notice_codes;
mod opportunity_document;
mod point;
mod point_filter;
mod projection;
mod queries;
mod ranking;
mod recommendations;
mod tenant_search;
mod terms;
mod verify;
mod vocabulary;
mod write;
mod write_plan;

pub use self::{
    client::OpportunitySearch,
    config::{EmbeddingConfig, SearchConfig},
    embedding::{Embedder, EmbeddingError, StaticModel},
    opportunity_document::OpportunityDocument,
    projection::SearchChange,
    queries::OpportunityHit,
    recommendations::RecommendationPreferences,
    tenant_search::{SearchUnit, SearchUnitKind, TenantSearchHit},
};
