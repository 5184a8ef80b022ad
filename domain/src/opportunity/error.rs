//! Why a command on an opportunity is refused.

/// A business reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpportunityError {
    /// An opportunity under this number is on record with other notices.
    #[error("the opportunity is already on record; amend it instead")]
    AlreadyDiscovered,
    /// Nothing is on record that could be amended or awarded.
    #[error("the opportunity is not on record; discover it first")]
    NotDiscovered,
    /// It is over.
    #[error("the opportunity is archived")]
    Archived,
}
