//! The changes of a batch, merged into one desired point for each opportunity.

use std::collections::BTreeMap;

use super::{OpportunityDocument, SearchChange, point::StoredPoint};

/// The point of one opportunity as a batch requires it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct DesiredPoint {
    /// The newest details in the batch, if it has any.
    pub(super) document: Option<Box<OpportunityDocument>>,
    /// Whether the batch has an award.
    pub(super) awarded: bool,
}

impl DesiredPoint {
    /// The details, if they are newer than those of the stored point.
    pub(super) fn newer_document(&self, stored: Option<&StoredPoint>) -> Option<&OpportunityDocument> {
        let stored_sequence = stored.map_or(0, |stored| stored.sequence);
        self.document.as_deref().filter(|document| document.payload.sequence > stored_sequence)
    }

    /// Whether the stored point has these changes, or later ones.
    pub(super) fn is_satisfied_by(&self, stored: Option<&StoredPoint>) -> bool {
        self.newer_document(stored).is_none() && (!self.awarded || stored.is_some_and(|stored| stored.awarded))
    }
}

/// Merges changes by opportunity; later details replace earlier ones.
pub(super) fn merge_changes(changes: &[SearchChange]) -> BTreeMap<String, DesiredPoint> {
    let mut desired = BTreeMap::<String, DesiredPoint>::new();
    for change in changes {
        match change {
            SearchChange::Described(document) => {
                let point = desired.entry(document.payload.id.clone()).or_default();
                let newer = point.document.as_ref().is_none_or(|old| old.payload.sequence <= document.payload.sequence);
                if newer {
                    point.document = Some(document.clone());
                }
            }
            SearchChange::Awarded { id } => desired.entry(id.clone()).or_default().awarded = true,
            SearchChange::SearchUnit(_) | SearchChange::DocumentText(_) => {}
        }
    }
    desired
}
