//! Writes points; of concurrent writes, the newest details win, in whatever order they are made.
//!
//! Another worker may write a point between the read and the write of this one. Therefore every write has a condition,
//! which `Qdrant` checks atomically: it is refused if the point has details that are as new, or an award that the writer
//! has not read. A refused write is not reported; the caller reads the point again.

use std::collections::BTreeMap;

use qdrant_client::{
    Payload,
    qdrant::{Condition, Filter, PointsIdsList, Range, SetPayloadPointsBuilder, UpsertPointsBuilder, Value},
};
use uuid::Uuid;

use super::{OpportunitySearch, point::NewPoint};
use crate::{
    runtime::ProjectionError,
    storage::qdrant::{POINTS_PER_CALL, to_point_id},
};

/// The writes of a batch.
#[derive(Default)]
pub(super) struct PointWrites {
    /// Whole points.
    pub(super) points: Vec<NewPoint>,
    /// Points to mark as awarded only. This is never undone, so it needs no condition.
    pub(super) awarded: Vec<Uuid>,
}

impl OpportunitySearch {
    pub(super) async fn write_points(&self, writes: PointWrites) -> Result<(), ProjectionError> {
        // A request has one condition for all of its points, so points are grouped by condition.
        let mut points_by_condition = BTreeMap::<(u64, bool), Vec<NewPoint>>::new();
        for point in writes.points {
            points_by_condition.entry((point.payload.sequence, point.payload.awarded)).or_default().push(point);
        }
        for ((sequence, awarded), points) in points_by_condition {
            for chunk in points.chunks(POINTS_PER_CALL) {
                let chunk = chunk.iter().map(NewPoint::to_point).collect::<Result<Vec<_>, _>>();
                let chunk = chunk.map_err(ProjectionError::rejected)?;
                let upsert = UpsertPointsBuilder::new(self.collection(), chunk)
                    .update_filter(overwrite_condition(sequence, awarded))
                    .wait(true);
                self.qdrant().await_completion(self.client().upsert_points(upsert)).await?;
            }
        }
        for ids in writes.awarded.chunks(POINTS_PER_CALL) {
            let ids = PointsIdsList { ids: ids.iter().copied().map(to_point_id).collect() };
            let payload = Payload::from([("awarded", Value::from(true))]);
            let set = SetPayloadPointsBuilder::new(self.collection(), payload).points_selector(ids).wait(true);
            self.qdrant().await_completion(self.client().set_payload(set)).await?;
        }
        Ok(())
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
    #[expect(clippy::cast_precision_loss, reason = "no stream has 2^53 events")]
    let not_older = Range { gte: Some(sequence as f64), ..Range::default() };
    Filter::must_not([Condition::range("sequence", not_older)])
}
