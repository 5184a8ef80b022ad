//! Why a command on a resource is refused.

/// A business reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResourceError {
    /// It is there and holds something else.
    #[error("the resource is there already; update it instead")]
    AlreadyCreated,
    /// Nobody has made it.
    #[error("there is no such resource")]
    NotCreated,
    /// It was deleted, and that is for good.
    #[error("the resource was deleted")]
    Deleted,
}
