//! Writing points so that of several writers the newest facts win, whoever is last.
//!
//! Reading a point and writing it are two steps, and another worker may write in between. So every write carries its own
//! condition, which the store checks in the same step: it goes in unless the point has facts as new, or an award that the
//! writer had not seen. A refused write is not reported; the caller reads again what became of it.

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

/// What is to be written.
#[derive(Default)]
pub(super) struct PointWrites {
    /// Whole points.
    pub(super) points: Vec<NewPoint>,
    /// Points that only have to be marked as awarded. That stays true for ever, so that it needs no condition.
    pub(super) awarded: Vec<Uuid>,
}

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
