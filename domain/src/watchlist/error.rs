//! Why a command to a watchlist is refused.

/// Why a command to a watchlist is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WatchlistError {
    /// The user has saved the maximum number of opportunities.
    #[error("the watchlist is full; unsave an opportunity first")]
    Full,
    /// The user has saved the maximum number of searches.
    #[error("the maximum number of searches is saved; remove one first")]
    TooManySearches,
    /// Another saved search has this name.
    #[error("another search has this name")]
    NameTaken,
}
