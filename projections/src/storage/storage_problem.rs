//! A problem of a store that answers.

/// A problem of a store that answers: its servers, or its content, do not fit the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageProblem {
    /// Description, with what to do about it.
    pub text: String,
    /// Whether the read model does not work because of it; otherwise it is informational.
    pub harmful: bool,
}
