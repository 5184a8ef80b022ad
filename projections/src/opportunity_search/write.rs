//! Writing points so that of several writers the newest facts win, whoever is last.
//!
//! Reading a point and writing it are two steps, and another worker may write in between. So every write carries its own
//! condition, which the store checks in the same step: it goes in unless the point has facts as new, or an award that the
//! writer had not seen. A refused write is not reported; the caller reads again what became of it.

use std::{collections::BTreeMap, future::Future};

use qdrant_client::{
    Payload, QdrantError,
    qdrant::{
        Condition, Filter, PointsIdsList, PointsOperationResponse, Range, SetPayloadPointsBuilder, UpdateStatus,
        UpsertPointsBuilder, Value,
    },
};
use tonic::Code;
use uuid::Uuid;

use super::{
    OpportunitySearch,
    client::POINTS_PER_CALL,
    point::{NewPoint, to_point_id},
};
use crate::runtime::ProjectionError;

/// What is to be written.
#[derive(Default)]
pub(super) struct PointWrites {
    /// Whole points.
    pub(super) points: Vec<NewPoint>,
    /// Points that only have to be marked as awarded. That stays true for ever, so that it needs no condition.
    pub(super) awarded: Vec<Uuid>,
}

/// The store has not done what it was asked to wait for.
#[derive(Debug, thiserror::Error)]
#[error("a write was answered with status {0}")]
struct NotCompleted(String);

impl OpportunitySearch {
    pub(super) async fn write_points(&self, writes: PointWrites) -> Result<(), ProjectionError> {
        // A condition holds for all points of a call, so that a call has points of one condition.
        let mut alike = BTreeMap::<(u64, bool), Vec<NewPoint>>::new();
        for point in writes.points {
            alike.entry((point.payload.sequence, point.payload.awarded)).or_default().push(point);
        }
        for ((sequence, awarded), points) in alike {
            for some in points.chunks(POINTS_PER_CALL) {
                let some = some.iter().map(NewPoint::to_point).collect::<Result<Vec<_>, _>>();
                let some = some.map_err(ProjectionError::refused)?;
                let upsert = UpsertPointsBuilder::new(self.collection(), some)
                    .update_filter(overwrite_condition(sequence, awarded))
                    .wait(true);
                self.await_completion(self.client().upsert_points(upsert)).await?;
            }
        }
        for ids in writes.awarded.chunks(POINTS_PER_CALL) {
            let ids = PointsIdsList { ids: ids.iter().copied().map(to_point_id).collect() };
            let payload = Payload::from([("awarded", Value::from(true))]);
            let set = SetPayloadPointsBuilder::new(self.collection(), payload).points_selector(ids).wait(true);
            self.await_completion(self.client().set_payload(set)).await?;
        }
        Ok(())
    }

    pub(super) async fn await_completion(
        &self,
        request: impl Future<Output = Result<PointsOperationResponse, QdrantError>>,
    ) -> Result<(), ProjectionError> {
        let answer = Box::pin(request).await.map_err(|error| self.classify_error(error))?;
        match answer.result.map(|result| result.status()) {
            Some(UpdateStatus::Completed) => Ok(()),
            other => {
                let status = other.map_or("none", |status| status.as_str_name()).to_owned();
                Err(ProjectionError::unavailable(NotCompleted(status)))
            }
        }
    }

    fn classify_error(&self, error: QdrantError) -> ProjectionError {
        let refused = match &error {
            QdrantError::ResponseError { status } => is_point_error(status.code()),
            QdrantError::ConversionError(_)
            | QdrantError::JsonToPayload(_)
            | QdrantError::PayloadDeserialization(_) => true,
            QdrantError::ResourceExhaustedError { .. }
            | QdrantError::InvalidUri(_)
            | QdrantError::NoSnapshotFound(_)
            | QdrantError::Io(_) => false,
        };
        let source = self.explain_error(error);
        if refused { ProjectionError::refused(source) } else { ProjectionError::unavailable(source) }
    }
}

/// Whether a status says that other points would be taken; else it says that now is not the time.
fn is_point_error(code: Code) -> bool {
    match code {
        Code::InvalidArgument | Code::OutOfRange => true,
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => false,
    }
}

/// The condition of overwriting a point with facts of this sequence.
fn overwrite_condition(sequence: u64, awarded: bool) -> Filter {
    let mut unless = sequence_condition(sequence);
    unless.must_not.extend((!awarded).then(|| Condition::matches("awarded", true)));
    unless
}

/// The condition of overwriting a point by what an event of this sequence left.
pub(super) fn sequence_condition(sequence: u64) -> Filter {
    #[expect(clippy::cast_precision_loss, reason = "no stream has 2^53 events")]
    let as_new = Range { gte: Some(sequence as f64), ..Range::default() };
    Filter::must_not([Condition::range("sequence", as_new)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wrong_point_is_refused_for_good() {
        let away = [Code::Unavailable, Code::DeadlineExceeded, Code::ResourceExhausted, Code::Internal, Code::NotFound];
        assert!(away.iter().all(|code| !is_point_error(*code)));
        assert!(is_point_error(Code::InvalidArgument));
    }
}
