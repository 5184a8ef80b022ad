//! Why a read model gave no answer.

/// The cause of a failure, kept for the log.
pub(crate) type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// A query or a preparation of a store that failed.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The store is away or refused; trying later may help.
    #[error("reaching {store}")]
    Unavailable {
        /// Which store.
        store: &'static str,
        /// What its client says.
        #[source]
        source: BoxedError,
    },
    /// The store answered, but not with what this program wrote there.
    #[error("reading what {store} holds")]
    Unreadable {
        /// Which store.
        store: &'static str,
        /// What could not be read.
        #[source]
        source: BoxedError,
    },
}
