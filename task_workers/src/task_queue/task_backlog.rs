//! How many tasks of a kind have not ended.

/// The tasks of one kind that have not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskBacklog {
    /// The kind, by its name.
    pub kind: String,
    /// Tasks that wait for a worker.
    pub waiting: i64,
    /// Tasks that a worker has.
    pub claimed: i64,
    /// Tasks that wait for the end of the pause after a failed attempt.
    pub delayed: i64,
    /// How long the first of the waiting tasks has waited, in seconds; 0 without one.
    pub oldest_s: f64,
}
