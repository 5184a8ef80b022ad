//! Limits of one computation on a text: its time, and whether its result is still wanted.

use std::time::{Duration, Instant};

use domain::value::InvalidValue;
use tokio_util::sync::CancellationToken;

/// Why a text has no result.
#[derive(Debug, thiserror::Error)]
pub enum AnalysisError {
    /// The text has too many lines.
    #[error("the text has more than {max} lines; split the document")]
    TooManyLines {
        /// The limit.
        max: usize,
    },
    /// The computation took too long.
    #[error("the text takes longer than {} s to analyse; split the document", limit.as_secs())]
    TooSlow {
        /// The limit.
        limit: Duration,
    },
    /// The result is not needed any more.
    #[error("the analysis was cancelled")]
    Cancelled,
    /// The text has no sentence that could be quoted.
    #[error("the document has no text that could be summarised")]
    NoSentence(#[source] InvalidValue),
    /// A name of the agency leads to a pattern that is too large.
    #[error("the names of the agency in the text cannot be searched for")]
    AgencyNames(#[from] regex::Error),
}

/// How long a computation may go on. It is asked between small steps, because a thread cannot be interrupted.
#[derive(Debug, Clone)]
pub struct AnalysisBudget {
    cancelled: CancellationToken,
    start: Instant,
    limit: Duration,
}

impl AnalysisBudget {
    /// Starts a computation that ends after `limit`, or when `cancelled` is cancelled.
    pub fn start(cancelled: CancellationToken, limit: Duration) -> Self {
        Self { cancelled, start: Instant::now(), limit }
    }

    /// Whether the computation may go on.
    ///
    /// # Errors
    /// [`AnalysisError::Cancelled`], [`AnalysisError::TooSlow`].
    pub(crate) fn check(&self) -> Result<(), AnalysisError> {
        if self.cancelled.is_cancelled() {
            return Err(AnalysisError::Cancelled);
        }
        if self.start.elapsed() >= self.limit {
            return Err(AnalysisError::TooSlow { limit: self.limit });
        }
        Ok(())
    }
}

#[cfg(test)]
impl AnalysisBudget {
    /// A budget for texts of tests, which take seconds at most.
    pub(crate) fn for_tests() -> Self {
        Self::start(CancellationToken::new(), Duration::from_secs(20))
    }
}
