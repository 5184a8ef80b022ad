//! The identity of a stream.

use std::{borrow::Cow, sync::Arc};

use crate::envelope::Envelope;

/// The stream of one aggregate: ids are unique among the aggregates of one type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    /// The aggregate type.
    pub aggregate_type: Cow<'static, str>,
    /// The aggregate's id.
    pub aggregate_id: Arc<str>,
}

impl StreamId {
    /// The stream of the aggregate with this type and id.
    pub fn new(aggregate_type: impl Into<Cow<'static, str>>, aggregate_id: impl Into<Arc<str>>) -> Self {
        Self { aggregate_type: aggregate_type.into(), aggregate_id: aggregate_id.into() }
    }

    /// The stream of an event.
    pub fn from_event<E>(event: &Envelope<E>) -> Self {
        Self::new(event.aggregate_type.clone(), event.aggregate_id.as_str())
    }
}
