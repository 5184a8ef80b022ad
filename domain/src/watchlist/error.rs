//! Why a command on a watchlist is refused.

/// A business reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WatchlistError {
    /// As many opportunities are saved as one user may have.
    #[error("the watchlist is full; unsave an opportunity first")]
    Full,
    /// As many searches are saved as one user may have.
    #[error("as many searches are saved as one may have; remove one first")]
    TooManySearches,
    /// Another saved search is called so.
    #[error("another search has that name")]
    NameTaken,
}
