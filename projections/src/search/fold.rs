//! A batch of changes as one wish per opportunity.

use std::collections::BTreeMap;

use super::{Document, SearchChange};

/// What a batch asks of one opportunity's point.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wish {
    /// The newest facts in the batch.
    pub(super) document: Option<Box<Document>>,
    /// Whether the batch has an award.
    pub(super) awarded: bool,
}

/// Folds changes by opportunity; later facts replace earlier ones.
pub(super) fn fold(changes: &[SearchChange]) -> BTreeMap<String, Wish> {
    let mut wishes = BTreeMap::<String, Wish>::new();
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
        }
    }
    wishes
}
