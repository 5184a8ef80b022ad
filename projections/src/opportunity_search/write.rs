//! Writes points; of concurrent writes, the newest details win, in whatever order they are made.
//!
//! Another worker may write a point between the read and the write of this one. Therefore every write has a condition,
//! which `Qdrant` checks atomically: it is refused if the point has details that are as new, or an award that the writer
//! has not read. A refused write is not reported; the caller reads the point again.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use qdrant_client::qdrant::{
    Condition, Filter, PointId, PointStruct, PointsUpdateOperation, Range, UpdateBatchPoints, Value,
    points_update_operation::{Operation, PointStructList, SetPayload},
};

use super::OpportunitySearch;
use crate::{runtime::ProjectionError, storage::qdrant::POINTS_PER_CALL};

/// Requests of a batch that are sent before the first is answered: one is encoded while the store applies the other.
const REQUESTS_IN_FLIGHT: usize = 2;

/// The writes of a batch.
#[derive(Default)]
pub(super) struct PointWrites {
    /// Whole points by what their condition depends on: their sequence, and whether they are awarded.
    points: BTreeMap<(u64, bool), Vec<PointStruct>>,
    /// Points to mark as awarded only. This is never undone, so it needs no condition.
    awarded: Vec<PointId>,
}

impl PointWrites {
    /// Adds a whole point with details of this sequence.
    pub(super) fn add_point(&mut self, sequence: u64, awarded: bool, point: PointStruct) {
        self.points.entry((sequence, awarded)).or_default().push(point);
    }

    /// Adds a point to mark as awarded.
    pub(super) fn add_award(&mut self, id: PointId) {
        self.awarded.push(id);
    }

    /// The operations, each with the number of its points. An operation has one condition for all of its points.
    fn into_operations(self) -> Vec<(usize, PointsUpdateOperation)> {
        let mut operations = vec![];
        for ((sequence, awarded), mut points) in self.points {
            while !points.is_empty() {
                let rest = points.split_off(points.len().min(POINTS_PER_CALL));
                let list = PointStructList {
                    points: std::mem::replace(&mut points, rest),
                    update_filter: Some(overwrite_condition(sequence, awarded)),
                    ..PointStructList::default()
                };
                operations.push((list.points.len(), Operation::from(list).into()));
            }
        }
        for ids in self.awarded.chunks(POINTS_PER_CALL) {
            let award = SetPayload {
                payload: [("awarded".to_owned(), Value::from(true))].into(),
                points_selector: Some(ids.to_vec().into()),
                ..SetPayload::default()
            };
            operations.push((ids.len(), Operation::from(award).into()));
        }
        operations
    }

    /// Requests of at most [`POINTS_PER_CALL`] points, each with as many operations as it can have.
    fn into_requests(self, collection: &str) -> Vec<UpdateBatchPoints> {
        let mut requests = Vec::<Vec<PointsUpdateOperation>>::new();
        let mut room = 0;
        for (points, operation) in self.into_operations() {
            if let Some(request) = requests.last_mut().filter(|_| points <= room) {
                request.push(operation);
            } else {
                requests.push(vec![operation]);
                room = POINTS_PER_CALL;
            }
            room -= points;
        }
        let to_request = |operations| UpdateBatchPoints {
            collection_name: collection.to_owned(),
            wait: Some(true),
            operations,
            ..UpdateBatchPoints::default()
        };
        requests.into_iter().map(to_request).collect()
    }
}

impl OpportunitySearch {
    /// Writes points. No two writes of a batch concern the same point, so that their order does not matter.
    pub(super) async fn write_points(&self, writes: PointWrites) -> Result<(), ProjectionError> {
        stream::iter(writes.into_requests(self.collection()))
            .map(|request| self.send_updates(request))
            .buffer_unordered(REQUESTS_IN_FLIGHT)
            .try_collect()
            .await
    }

    async fn send_updates(&self, request: UpdateBatchPoints) -> Result<(), ProjectionError> {
        let writes = request.operations.len();
        self.qdrant().await_all_completed(self.client().update_points_batch(request), writes).await
    }
}

/// The condition for overwriting a point with details of this sequence; `awarded` is that of the new payload.
fn overwrite_condition(sequence: u64, awarded: bool) -> Filter {
    let mut condition = sequence_condition(sequence);
    condition.must_not.extend((!awarded).then(|| Condition::matches("awarded", true)));
    condition
}

/// The condition for overwriting a point with the result of an event of this sequence: the point's sequence is lower.
pub(super) fn sequence_condition(sequence: u64) -> Filter {
    Filter::must_not([has_sequence(sequence)])
}

/// Whether a point has the result of an event of this sequence, or of a later one.
pub(super) fn has_sequence(sequence: u64) -> Condition {
    #[expect(clippy::cast_precision_loss, reason = "no stream has 2^53 events")]
    let not_older = Range { gte: Some(sequence as f64), ..Range::default() };
    Condition::range("sequence", not_older)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_operations_of_several_conditions_and_a_bounded_number_of_points() {
        let mut writes = PointWrites::default();
        for number in 0..POINTS_PER_CALL as u64 + 10 {
            writes.add_point(1, false, PointStruct { id: Some(number.into()), ..PointStruct::default() });
        }
        writes.add_point(2, false, PointStruct { id: Some(10_000.into()), ..PointStruct::default() });
        writes.add_point(2, true, PointStruct { id: Some(10_001.into()), ..PointStruct::default() });
        writes.add_award(10_002.into());
        let requests = writes.into_requests("c");
        let points = |request: &UpdateBatchPoints| -> Vec<usize> {
            let count = |operation: &PointsUpdateOperation| match operation.operation.as_ref() {
                Some(Operation::Upsert(list)) => list.points.len(),
                Some(Operation::SetPayload(_)) => 1,
                other => panic!("{other:?}"),
            };
            request.operations.iter().map(count).collect()
        };
        assert_eq!(requests.iter().map(points).collect::<Vec<_>>(), [vec![POINTS_PER_CALL], vec![10, 1, 1, 1]]);
        assert!(requests.iter().all(|request| request.wait == Some(true)));
    }
}
