//! Search in the texts of each tenant, by meaning and by words: sections of proposals, documents and what they say,
//! resources.
//!
//! The texts are in a collection of their own, in the same generation as that of the opportunities. A point is one
//! search unit, such as a section of a proposal. An event has the whole content of the units that it changes, so that a
//! point is written without reading others. A deleted unit leaves an empty point that is marked as deleted, so that an
//! older event that is applied later does not restore it. A long text is split into passages; the similarity of a unit
//! to a query is that of its most similar passage (the largest cosine, as in Khattab and Zaharia, "`ColBERT`", 2020).
//!
//! The text of a document is in the object store ([`DocumentTextSource`]). It is split into chunks, each of which is a
//! unit with its page; a unit without passages stands for the whole text. Its event is the only one that writes them.
//!
//! Every query is restricted to the points of one tenant.

mod collection;
mod document_text_source;
mod passage;
mod projection;
mod queries;
mod search_unit;
mod text_chunk;
mod unit_point;
mod verify;
mod write;
mod write_text;

pub use self::{
    document_text_source::{DocumentTextSource, DocumentTextSourceError},
    queries::TenantSearchHit,
    search_unit::{SearchUnit, SearchUnitKind},
};
pub(super) use self::{projection::project_units, verify::UnitFold};
