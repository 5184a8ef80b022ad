//! A problem of a store that answers.

/// What is wrong with a store as it is set up, although it answers: its servers, or what it holds, do not fit the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageProblem {
    /// Description, with what to do about it.
    pub text: String,
    /// Whether the read model does not work because of it; otherwise it is informational.
    pub harmful: bool,
}
