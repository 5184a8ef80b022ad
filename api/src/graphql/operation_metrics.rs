//! Rate, errors and durations of GraphQL operations.

use std::time::{Duration, Instant};

use async_graphql::{Response, parser::types::OperationType};
use metrics::{counter, gauge, histogram};

use super::error::{ResponseOutcome, response_outcome};

/// Measures the execution of an operation. Dropped without an outcome, it counts as cancelled.
pub(super) struct OperationMeasurement {
    kind: OperationType,
    outcome: &'static str,
    started: Instant,
}

impl OperationMeasurement {
    pub(super) fn start(kind: OperationType) -> Self {
        Self { kind, outcome: "cancelled", started: Instant::now() }
    }

    /// Records how the operation ended.
    pub(super) fn finish(mut self, response: &Response) {
        self.outcome = match response_outcome(response) {
            ResponseOutcome::Succeeded => "ok",
            ResponseOutcome::Refused => "refused",
            ResponseOutcome::Failed => "failed",
        };
    }
}

impl Drop for OperationMeasurement {
    fn drop(&mut self) {
        record_duration(self.kind, self.outcome, self.started.elapsed());
    }
}

/// Records an operation that was not executed after it had waited for room. Over HTTP its status says so, and it is no
/// operation.
pub(super) fn record_shed_operation(kind: OperationType, waited: Duration) {
    record_duration(kind, "shed", waited);
}

fn record_duration(kind: OperationType, outcome: &'static str, duration: Duration) {
    histogram!(
        "medhub_graphql_operation_duration_seconds",
        "graphql_operation_type" => operation_name(kind),
        "outcome" => outcome,
    )
    .record(duration);
}

/// The name of a kind of operation in the language.
pub(super) fn operation_name(kind: OperationType) -> &'static str {
    match kind {
        OperationType::Query => "query",
        OperationType::Mutation => "mutation",
        OperationType::Subscription => "subscription",
    }
}

/// Counts a document that is not executed.
pub(super) fn count_refused_document() {
    counter!("medhub_graphql_refused_documents_total").increment(1);
}

/// A subscription that is open until this is dropped.
pub(super) struct OpenSubscription(());

impl OpenSubscription {
    pub(super) fn open() -> Self {
        gauge!("medhub_graphql_subscriptions").increment(1.0);
        Self(())
    }
}

impl Drop for OpenSubscription {
    fn drop(&mut self) {
        gauge!("medhub_graphql_subscriptions").decrement(1.0);
    }
}
