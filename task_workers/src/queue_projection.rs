//! Feeds the events of tasks to the queue, as a forwarding projection.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    context::BoundedContext,
    envelope::RawEnvelope,
    task::{RetryDecision, TaskEvent},
};
use projections::{
    QueryError,
    runtime::{BatchLimits, FetchStrategy, ForwardingProjection, ProjectionError},
};
use sqlx::{Postgres, postgres::PgArguments, query::Query};
use uuid::Uuid;

use crate::{TaskQueue, TaskQueueError, task_queue::RequestedTask};

/// Pause before the second attempt; doubled for each further one.
const FIRST_RETRY_PAUSE: TimeDelta = TimeDelta::seconds(2);

/// Keeps the queue of tasks up to date.
#[derive(Clone)]
pub struct TaskQueueProjection {
    queue: TaskQueue,
}

impl TaskQueueProjection {
    /// Creates the projection of events to `queue`.
    pub fn new(queue: TaskQueue) -> Self {
        Self { queue }
    }
}

/// What an event changes in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueChange {
    tenant_id: String,
    task_id: String,
    sequence: i64,
    step: QueueStep,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum QueueStep {
    Request(Box<RequestedTask>),
    Start { worker: String },
    Report,
    Retry { failures: i32, available_at: DateTime<Utc> },
    End,
}

impl QueueChange {
    fn from_event(event: &RawEnvelope) -> Result<Self, ProjectionError> {
        let decoded: TaskEvent = event.decode().map_err(ProjectionError::poison)?;
        let step = match decoded {
            TaskEvent::Requested { spec, .. } => QueueStep::Request(Box::new(RequestedTask {
                spec,
                requested_at: event.recorded_at,
                correlation_id: Uuid::parse_str(&event.metadata.correlation_id).unwrap_or(event.event_id),
                request_event_id: event.event_id,
                traceparent: event.metadata.traceparent.clone(),
            })),
            TaskEvent::Started { worker, .. } => QueueStep::Start { worker: worker.as_str().to_owned() },
            TaskEvent::ProgressReported { .. } => QueueStep::Report,
            TaskEvent::Failed { attempt, retry: RetryDecision::Later, .. } => QueueStep::Retry {
                failures: i32::try_from(attempt).unwrap_or(i32::MAX),
                // A time that cannot be represented is no reason to wait.
                available_at: event.recorded_at.checked_add_signed(retry_pause(attempt)).unwrap_or(event.recorded_at),
            },
            TaskEvent::Failed { retry: RetryDecision::Never, .. }
            | TaskEvent::Completed { .. }
            | TaskEvent::Cancelled { .. } => QueueStep::End,
        };
        Ok(Self {
            tenant_id: event.tenant_id.clone(),
            task_id: event.local_id().to_owned(),
            sequence: i64::try_from(event.sequence).unwrap_or(i64::MAX),
            step,
        })
    }

    /// Whether a task can be claimed because of it.
    pub(crate) fn adds_task(&self) -> bool {
        matches!(self.step, QueueStep::Request(_) | QueueStep::Retry { .. })
    }

    /// The statement that applies the change, unless the row follows a later event.
    pub(crate) fn query(&self) -> Result<Query<'_, Postgres, PgArguments>, TaskQueueError> {
        let statement = match &self.step {
            QueueStep::Request(_) => include_str!("task_queue/request.sql"),
            QueueStep::Start { .. } => include_str!("task_queue/start.sql"),
            QueueStep::Report => include_str!("task_queue/report.sql"),
            QueueStep::Retry { .. } => include_str!("task_queue/retry.sql"),
            QueueStep::End => include_str!("task_queue/end.sql"),
        };
        let query = sqlx::query(statement).bind(&self.tenant_id).bind(&self.task_id).bind(self.sequence);
        Ok(match &self.step {
            QueueStep::Request(task) => query
                .bind(task.spec.kind.name())
                .bind(serde_json::to_value(&task.spec).map_err(TaskQueueError::Encode)?)
                .bind(task.requested_at)
                .bind(task.correlation_id)
                .bind(task.request_event_id)
                .bind(&task.traceparent),
            QueueStep::Start { worker } => query.bind(worker),
            QueueStep::Retry { failures, available_at } => query.bind(failures).bind(available_at),
            QueueStep::Report | QueueStep::End => query,
        })
    }
}

/// The pause after a failed attempt, from 1.
fn retry_pause(attempt: u32) -> TimeDelta {
    FIRST_RETRY_PAUSE * 2_i32.pow(attempt.saturating_sub(1).min(10))
}

impl ForwardingProjection for TaskQueueProjection {
    const NAME: &'static str = "task-queue";

    const FETCH_STRATEGY: FetchStrategy = FetchStrategy::AtOnce;

    type Change = QueueChange;

    fn subscribed_contexts() -> &'static [BoundedContext] {
        &[BoundedContext::Tasks]
    }

    fn batch_limits() -> BatchLimits {
        BatchLimits { batch_events: 200, linger: Duration::from_millis(2), rebuild_events: 200 }
    }

    fn project(event: &RawEnvelope) -> Result<Vec<QueueChange>, ProjectionError> {
        QueueChange::from_event(event).map(|change| vec![change])
    }

    async fn apply(&self, changes: &[QueueChange]) -> Result<(), ProjectionError> {
        self.queue.apply_changes(changes).await.map_err(|error| match error {
            TaskQueueError::Encode(_) => ProjectionError::rejected(error),
            TaskQueueError::Postgres { .. } => ProjectionError::unavailable(error),
        })
    }

    async fn is_applied(&self, change: &QueueChange) -> Result<bool, QueryError> {
        let followed = self.queue.followed_sequence(&change.tenant_id, &change.task_id).await;
        let followed = followed.map_err(QueryError::postgres)?.and_then(|sequence| i64::try_from(sequence).ok());
        // A task that was requested before the queue existed is not in it.
        let is_request = matches!(change.step, QueueStep::Request(_));
        Ok(followed.map_or(!is_request, |followed| followed >= change.sequence))
    }

    async fn ping(&self) -> Result<(), QueryError> {
        self.queue.ping().await.map_err(QueryError::postgres)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_between_attempts_double() {
        assert_eq!([1, 2, 3, 4].map(|attempt| retry_pause(attempt).num_seconds()), [2, 4, 8, 16]);
        assert!(retry_pause(u32::MAX) < TimeDelta::hours(1));
    }
}
