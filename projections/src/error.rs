//! Errors of queries and of the preparation of stores.

/// The source of an error, of any type.
pub(crate) type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// Why a query or the preparation of a store failed.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The store is unavailable or refused the request; a retry may succeed.
    #[error("reaching {store}")]
    Unavailable {
        /// Name of the store.
        store: &'static str,
        /// The client's error.
        #[source]
        source: BoxedError,
    },
    /// The store answered with data that this program cannot have written.
    #[error("decoding data from {store}")]
    Unreadable {
        /// Name of the store.
        store: &'static str,
        /// The decoding error.
        #[source]
        source: BoxedError,
    },
}

impl QueryError {
    /// Wraps the error of a statement in Postgres.
    pub fn postgres(source: impl Into<BoxedError>) -> Self {
        Self::Unavailable { store: "Postgres", source: source.into() }
    }
}
