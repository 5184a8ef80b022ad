//! Search in `Qdrant`: one point per opportunity, found by what its notice is about and by the words and numbers in it; and
//! in a collection of its own what each tenant owns ([`Unit`]).
//!
//! A point's id follows from the opportunity's id, its payload carries the sequence of the event that set its facts
//! and the hash of the text behind its vector: writing an event again changes nothing, and an unchanged text is not
//! embedded again, also not in a rebuild.

mod collection;
mod compare;
mod condition;
mod config;
mod document;
pub mod embedding;
mod fold;
mod likeness;
mod notice_codes;
mod owned;
mod plan;
mod point;
mod projection;
mod query;
mod question;
mod ranking;
mod store;
mod terms;
mod vocabulary;
mod write;

pub use self::{
    config::{EmbeddingConfig, SearchConfig},
    document::Document,
    embedding::{Embedder, EmbeddingError, StaticModel},
    likeness::Taste,
    owned::{OwnedHit, OwnedKind, Unit},
    projection::SearchChange,
    query::Hit,
    store::Search,
};
