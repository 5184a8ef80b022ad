//! Computations that may take seconds: on their own thread, with a limit, and ended when the task is lost.

use std::time::Duration;

use task_workers::TaskFailure;
use tokio_util::sync::CancellationToken;

use crate::{AnalysisBudget, AnalysisError};

/// Longest computation: far more than real documents take, since the claim of the task is renewed meanwhile and another
/// attempt would take as long.
const MAX_DURATION: Duration = Duration::from_mins(2);

/// Runs a computation with a budget, which ends when the task is cancelled or the future is dropped.
///
/// # Errors
/// [`TaskFailure`] when the computation fails or panics.
pub(super) async fn compute<T: Send + 'static>(
    cancelled: &CancellationToken,
    work: impl FnOnce(&AnalysisBudget) -> Result<T, AnalysisError> + Send + 'static,
) -> Result<T, TaskFailure> {
    let ended = cancelled.child_token();
    // A thread cannot be stopped from outside, so it asks its budget.
    let _end_when_dropped = ended.clone().drop_guard();
    let finished = tokio::task::spawn_blocking(move || work(&AnalysisBudget::start(ended, MAX_DURATION))).await;
    let result = finished.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "the analysis of a document panicked");
        TaskFailure::never("the text of the document cannot be analysed because of a defect of this program")
    })?;
    result.map_err(|error| analysis_failure(&error))
}

/// The failure of a task because of its text.
pub(super) fn analysis_failure(error: &AnalysisError) -> TaskFailure {
    match error {
        AnalysisError::Cancelled => TaskFailure::later(&error.to_string()),
        AnalysisError::AgencyNames(source) => {
            tracing::error!(error = source as &dyn std::error::Error, "the patterns of a text are invalid");
            TaskFailure::never(&error.to_string())
        }
        AnalysisError::TooManyLines { .. } | AnalysisError::TooSlow { .. } | AnalysisError::NoSentence(_) => {
            TaskFailure::never(&error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::task::RetryDecision;

    use super::*;

    #[tokio::test]
    async fn a_computation_ends_when_its_task_is_lost() {
        let (ended, end) = tokio::sync::oneshot::channel();
        let (started, start) = tokio::sync::oneshot::channel();
        let token = CancellationToken::new();
        let work = move |budget: &AnalysisBudget| {
            started.send(()).unwrap();
            let error = loop {
                if let Err(error) = budget.check() {
                    break error;
                }
                std::thread::yield_now();
            };
            ended.send(error).unwrap();
            Ok(())
        };
        let computation = tokio::spawn(async move { compute(&token, work).await });
        start.await.unwrap();
        computation.abort();
        assert!(matches!(end.await.unwrap(), AnalysisError::Cancelled));
    }

    #[tokio::test]
    async fn failures_say_whether_another_attempt_may_succeed() {
        let cancelled = CancellationToken::new();
        cancelled.cancel();
        let failure = compute(&cancelled, AnalysisBudget::check).await.unwrap_err();
        assert_eq!(failure.retry, RetryDecision::Later, "{failure}");
        let failure = compute::<()>(&CancellationToken::new(), |_| Err(AnalysisError::TooManyLines { max: 5 })).await;
        let failure = failure.unwrap_err();
        let expected = (RetryDecision::Never, "the text has more than 5 lines; split the document");
        assert_eq!((failure.retry, failure.reason.as_str()), expected);
        let panicked = compute::<()>(&CancellationToken::new(), |_| panic!("a defect")).await.unwrap_err();
        assert_eq!(panicked.retry, RetryDecision::Never);
    }
}
