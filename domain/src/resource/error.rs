//! Why a command to a resource is refused.

use crate::refusal_code::RefusalCode;

/// Why a command to a resource is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResourceError {
    /// The resource exists with other content.
    #[error("the resource already exists; update it instead")]
    AlreadyCreated,
    /// The resource was not created.
    #[error("there is no such resource")]
    NotCreated,
    /// The resource was deleted and cannot be restored.
    #[error("the resource was deleted")]
    Deleted,
}

impl RefusalCode for ResourceError {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::AlreadyCreated => "ALREADY_CREATED",
            Self::NotCreated => "NOT_FOUND",
            Self::Deleted => "DELETED",
        }
    }

    fn is_missing_object(&self) -> bool {
        matches!(self, Self::NotCreated | Self::Deleted)
    }
}
