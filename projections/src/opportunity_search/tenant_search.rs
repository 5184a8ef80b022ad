//! What each tenant owns, found by meaning and by words: proposals section by section, documents, resources.
//!
//! It lives in a collection of its own beside that of the opportunities, in the same generation. A point is one *unit*,
//! such as a section of a proposal: an event says all of the units that it touches, so that a point needs no other point to
//! be written, and what is deleted leaves a point that says so and nothing else, against which older events are held. A
//! long text is cut into passages; a unit is as near to a question as its nearest passage (the largest cosine, as in
//! Khattab and Zaharia, "`ColBERT`", 2020).
//!
//! Every question names one tenant, and the store is asked for points of that tenant only.

mod collection;
mod passage;
mod projection;
mod queries;
mod search_unit;
mod verify;
mod write;

pub(super) use self::{projection::project_units, verify::UnitFold};
pub use self::{
    queries::TenantSearchHit,
    search_unit::{SearchUnit, SearchUnitKind},
};
