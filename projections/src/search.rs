//! Semantic search in `Qdrant`: one point per opportunity, found by what its notice is about.
//!
//! A point's id follows from the opportunity's id, its payload carries the sequence of the event that set its facts
//! and the hash of the text behind its vector: writing an event again changes nothing, and an unchanged text is not
//! embedded again.

mod collection;
mod compare;
mod config;
mod document;
pub mod embedding;
mod fold;
mod projection;
mod query;
mod store;

pub use self::{
    config::{EmbeddingConfig, SearchConfig},
    document::Document,
    embedding::{Embedder, EmbeddingError, StaticModel},
    projection::SearchChange,
    query::Hit,
    store::Search,
};
