//! A batch of changes as one wish per opportunity.

use std::collections::BTreeMap;

use super::{OpportunityDocument, SearchChange, point::StoredPoint};

/// What a batch asks of one opportunity's point.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct DesiredPoint {
    /// The newest facts in the batch.
    pub(super) document: Option<Box<OpportunityDocument>>,
    /// Whether the batch has an award.
    pub(super) awarded: bool,
}

impl DesiredPoint {
    /// Its facts, where they are newer than those of the stored point.
    pub(super) fn newer_document(&self, known: Option<&StoredPoint>) -> Option<&OpportunityDocument> {
        let stored = known.map_or(0, |known| known.sequence);
        self.document.as_deref().filter(|document| document.payload.sequence > stored)
    }

    /// Whether the stored point says all that is wished, or what came after it.
    pub(super) fn is_satisfied_by(&self, known: Option<&StoredPoint>) -> bool {
        self.newer_document(known).is_none() && (!self.awarded || known.is_some_and(|known| known.awarded))
    }
}

/// Folds changes by opportunity; later facts replace earlier ones.
pub(super) fn merge_changes(changes: &[SearchChange]) -> BTreeMap<String, DesiredPoint> {
    let mut wishes = BTreeMap::<String, DesiredPoint>::new();
    for change in changes {
        match change {
            SearchChange::Described(document) => {
                let wish = wishes.entry(document.payload.id.clone()).or_default();
                let newer = wish.document.as_ref().is_none_or(|old| old.payload.sequence <= document.payload.sequence);
                if newer {
                    wish.document = Some(document.clone());
                }
            }
            SearchChange::Awarded { id } => wishes.entry(id.clone()).or_default().awarded = true,
            SearchChange::SearchUnit(_) => {}
        }
    }
    wishes
}
