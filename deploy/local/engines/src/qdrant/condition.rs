//! Conditional writes without their condition.
//!
//! Whether a condition holds depends on what is stored, so a journal of conditional writes would give something else
//! when it is read again over a newer state. Therefore the points that the condition lets through are found first, as
//! the engine itself would do it, and only they are journalled and written, without a condition. The caller lets no
//! other change come in between.

use std::collections::HashSet;

use qdrant_client::qdrant::{
    self, Condition, Filter, GetPoints, PointId, ScrollPoints, UpdateMode,
    condition::ConditionOneOf,
    points_update_operation::{Operation, PointStructList},
    with_payload_selector::SelectorOptions as Payloads,
    with_vectors_selector::SelectorOptions as Vectors,
};
use qdrant_edge::EdgeShard;
use tonic::Status;

use super::{
    convert::{member, point_id},
    reading,
};

/// The same change without a condition on the points that it writes; `None` when that leaves nothing to do.
pub(super) fn resolved(shard: &EdgeShard, operation: Operation) -> Result<Option<Operation>, Status> {
    let Operation::Upsert(list) = operation else { return Ok(Some(operation)) };
    let mode = list.update_mode.map(member::<UpdateMode>).transpose()?.unwrap_or_default();
    if list.update_filter.is_none() && mode == UpdateMode::Upsert {
        return Ok(Some(Operation::Upsert(list)));
    }
    let PointStructList { points, shard_key_selector, update_filter, .. } = list;
    let ids: Vec<_> = points.iter().filter_map(|point| point.id.clone()).collect();
    let refused = match (mode, update_filter) {
        (UpdateMode::InsertOnly, _) | (_, None) => HashSet::new(),
        (UpdateMode::Upsert | UpdateMode::UpdateOnly, Some(filter)) => unmatched(shard, &ids, filter)?,
    };
    let present = if mode == UpdateMode::Upsert { HashSet::new() } else { present(shard, ids)? };
    let mut kept = Vec::with_capacity(points.len());
    for point in points {
        let id = point_id(point.id.clone())?;
        let wanted = match mode {
            UpdateMode::Upsert => true,
            UpdateMode::InsertOnly => !present.contains(&id),
            UpdateMode::UpdateOnly => present.contains(&id),
        };
        if wanted && !refused.contains(&id) {
            kept.push(point);
        }
    }
    let rest = PointStructList { points: kept, shard_key_selector, update_filter: None, update_mode: None };
    Ok((!rest.points.is_empty()).then_some(Operation::Upsert(rest)))
}

/// Those of the points that are there and do not match.
fn unmatched(shard: &EdgeShard, ids: &[PointId], filter: Filter) -> Result<HashSet<qdrant_edge::PointId>, Status> {
    let condition = Condition { condition_one_of: Some(ConditionOneOf::Filter(filter)) };
    let others =
        Filter { must: vec![Condition::has_id(ids.iter().cloned())], must_not: vec![condition], ..Filter::default() };
    let request = ScrollPoints {
        filter: Some(others),
        limit: Some(u32::try_from(ids.len()).unwrap_or(u32::MAX).max(1)),
        with_payload: Some(Payloads::Enable(false).into()),
        with_vectors: Some(Vectors::Enable(false).into()),
        ..ScrollPoints::default()
    };
    named(reading::page(shard, request)?.0)
}

/// Those of the points that are there.
fn present(shard: &EdgeShard, ids: Vec<PointId>) -> Result<HashSet<qdrant_edge::PointId>, Status> {
    let request = GetPoints {
        ids,
        with_payload: Some(Payloads::Enable(false).into()),
        with_vectors: Some(Vectors::Enable(false).into()),
        ..GetPoints::default()
    };
    named(reading::points(shard, request)?)
}

fn named(points: Vec<qdrant::RetrievedPoint>) -> Result<HashSet<qdrant_edge::PointId>, Status> {
    points.into_iter().map(|point| point_id(point.id)).collect()
}
