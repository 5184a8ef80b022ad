//! Why a command to a checklist is refused.

use domain::refusal_code::RefusalCode;

/// Why a command to a checklist is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChecklistError {
    /// The checklist exists.
    #[error("the checklist already exists")]
    AlreadyCreated,
    /// The checklist was not created.
    #[error("there is no such checklist")]
    NotCreated,
    /// The checklist does not have the item.
    #[error("the checklist has no such item")]
    UnknownItem,
    /// Items are not done yet.
    #[error("items of the checklist are not done yet")]
    ItemsOpen,
    /// The checklist was closed.
    #[error("the checklist was closed")]
    Closed,
}

impl RefusalCode for ChecklistError {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::AlreadyCreated => "ALREADY_CREATED",
            Self::NotCreated => "NOT_FOUND",
            Self::UnknownItem => "NO_SUCH_ITEM",
            Self::ItemsOpen => "ITEMS_OPEN",
            Self::Closed => "CLOSED",
        }
    }

    fn is_missing_object(&self) -> bool {
        matches!(self, Self::NotCreated)
    }
}
