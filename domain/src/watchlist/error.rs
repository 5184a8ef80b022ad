//! Why a command to a watchlist is refused.

use crate::refusal_code::RefusalCode;

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

impl RefusalCode for WatchlistError {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::TooManySearches => "TOO_MANY_SEARCHES",
            Self::NameTaken => "NAME_TAKEN",
        }
    }

    fn is_missing_object(&self) -> bool {
        false
    }
}
