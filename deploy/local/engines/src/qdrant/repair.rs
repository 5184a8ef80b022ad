//! Finds points that a kill left in two segments at once, and stores them once.
//!
//! The engine moves a changed point from an indexed segment to an open one and writes the two down one after the other.
//! A process killed between the two leaves both copies on disk; the newer one counts.

use qdrant_edge::{
    CountRequest, EdgeShard, Filter, OperationError, PointId, PointInsertOperations, PointOperations,
    PointStructPersisted, ScrollRequest, UpdateOperation, WithPayloadInterface, WithVector,
};

const PAGE: usize = 1000;

/// Stores every point once.
pub(super) fn remove_duplicates(shard: &EdgeShard) -> Result<(), OperationError> {
    let mut offset = None;
    loop {
        let page = ScrollRequest {
            offset,
            limit: Some(PAGE),
            with_payload: Some(WithPayloadInterface::Bool(false)),
            ..ScrollRequest::default()
        };
        let (records, next) = shard.scroll(page)?;
        let ids: Vec<PointId> = records.into_iter().map(|record| record.id).collect();
        if copies(shard, &ids)? > ids.len() {
            for id in &ids {
                if copies(shard, &[*id])? > 1 {
                    store_once(shard, *id)?;
                }
            }
        }
        match next {
            Some(_) => offset = next,
            None => return Ok(()),
        }
    }
}

fn copies(shard: &EdgeShard, ids: &[PointId]) -> Result<usize, OperationError> {
    let filter = Some(Filter::new().with_point_ids(ids.iter().copied()));
    shard.count(CountRequest { filter, exact: true })
}

fn store_once(shard: &EdgeShard, id: PointId) -> Result<(), OperationError> {
    let everything = (Some(WithPayloadInterface::Bool(true)), Some(WithVector::Bool(true)));
    // Of several copies the engine gives the newest.
    let Some(record) = shard.retrieve(&[id], everything.0, everything.1)?.pop() else { return Ok(()) };
    let Some(vector) = record.vector else { return Ok(()) };
    tracing::warn!(point.id = %id, "a point was stored twice and is stored once now");
    let point = PointStructPersisted { id, vector: vector.into(), payload: record.payload };
    shard.update(UpdateOperation::PointOperation(PointOperations::DeletePoints { ids: vec![id] }))?;
    let points = PointInsertOperations::PointsList(vec![point]);
    shard.update(UpdateOperation::PointOperation(PointOperations::UpsertPoints(points)))
}
