//! Why a command to a resource is refused.

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
