//! Which parts of a point an answer carries.

use qdrant_client::qdrant::{
    self, with_payload_selector::SelectorOptions as PayloadOptions,
    with_vectors_selector::SelectorOptions as VectorOptions,
};
use qdrant_edge::{PayloadSelectorExclude, WithPayloadInterface, WithVector};
use tonic::Status;

use super::path;

/// The payload's part; `None` leaves it to the default of the request.
pub(crate) fn payload(selector: Option<qdrant::WithPayloadSelector>) -> Result<Option<WithPayloadInterface>, Status> {
    let paths = |fields: Vec<String>| fields.iter().map(|field| path(field)).collect::<Result<Vec<_>, _>>();
    Ok(match selector.and_then(|selector| selector.selector_options) {
        None => None,
        Some(PayloadOptions::Enable(enable)) => Some(WithPayloadInterface::Bool(enable)),
        Some(PayloadOptions::Include(include)) => Some(WithPayloadInterface::Fields(paths(include.fields)?)),
        Some(PayloadOptions::Exclude(exclude)) => Some(PayloadSelectorExclude::new(paths(exclude.fields)?).into()),
    })
}

/// The vectors; none by default.
pub(crate) fn vectors(selector: Option<qdrant::WithVectorsSelector>) -> WithVector {
    match selector.and_then(|selector| selector.selector_options) {
        None => WithVector::Bool(false),
        Some(VectorOptions::Enable(enable)) => WithVector::Bool(enable),
        Some(VectorOptions::Include(names)) => WithVector::Selector(names.names),
    }
}
