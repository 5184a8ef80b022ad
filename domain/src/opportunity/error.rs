//! Why a command to an opportunity is refused.

/// Why a command to an opportunity is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpportunityError {
    /// The opportunity is recorded with other notices.
    #[error("the opportunity is already recorded; amend it instead")]
    AlreadyDiscovered,
    /// The opportunity is not recorded.
    #[error("the opportunity is not recorded; discover it first")]
    NotDiscovered,
    /// The opportunity is archived.
    #[error("the opportunity is archived")]
    Archived,
}
