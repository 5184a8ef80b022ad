//! Changes of points, as they arrive and as they stand in the journal.

use std::collections::HashMap;

use qdrant_client::{
    Payload as ClientPayload,
    qdrant::{
        self, points_selector::PointsSelectorOneOf, points_update_operation::Operation,
        points_update_operation::PointStructList,
    },
};
use qdrant_edge::{
    DeletePayloadOp, EdgeConfig, Filter, Payload, PayloadOps, PointId, PointInsertOperations, PointOperations,
    PointStructPersisted, PointVectorsPersisted, SetPayloadOp, UpdateOperation, UpdateVectorsOp, VectorOperations,
};
use tonic::Status;

use super::{filter, no_shard_key, path, point_id, point_ids, vector};
use crate::qdrant::refusal::wrong;

/// The points an operation is about.
enum Selected {
    Ids(Vec<PointId>),
    Matching(Filter),
}

impl Selected {
    fn split(self) -> (Option<Vec<PointId>>, Option<Filter>) {
        match self {
            Self::Ids(ids) => (Some(ids), None),
            Self::Matching(filter) => (None, Some(filter)),
        }
    }
}

/// Whether the operation's effect depends on what is stored, so that running it again may do more than it did.
pub(crate) fn depends_on_state(operation: &Operation) -> bool {
    let by_filter = |selector: Option<&qdrant::PointsSelector>| {
        matches!(selector.and_then(|s| s.points_selector_one_of.as_ref()), Some(PointsSelectorOneOf::Filter(_)))
    };
    #[expect(deprecated, reason = "older clients still send these variants")]
    match operation {
        Operation::Upsert(_) => false,
        Operation::UpdateVectors(update) => update.update_filter.is_some(),
        Operation::SetPayload(set) => by_filter(set.points_selector.as_ref()),
        Operation::OverwritePayload(set) => by_filter(set.points_selector.as_ref()),
        Operation::DeletePayload(delete) => by_filter(delete.points_selector.as_ref()),
        Operation::DeleteVectors(delete) => by_filter(delete.points_selector.as_ref()),
        Operation::DeletePoints(delete) => by_filter(delete.points.as_ref()),
        Operation::ClearPayload(clear) => by_filter(clear.points.as_ref()),
        Operation::DeleteDeprecated(selector) | Operation::ClearPayloadDeprecated(selector) => {
            by_filter(Some(selector))
        }
    }
}

/// The engine's form of an operation.
pub(crate) fn to_engine(operation: Operation, config: &EdgeConfig) -> Result<UpdateOperation, Status> {
    #[expect(deprecated, reason = "older clients still send these variants")]
    Ok(match operation {
        Operation::Upsert(list) => UpdateOperation::PointOperation(upsert(list, config)?),
        Operation::DeletePoints(delete) => delete_points(delete.points)?,
        Operation::DeleteDeprecated(selector) => delete_points(Some(selector))?,
        Operation::SetPayload(set) => {
            no_shard_key(set.shard_key_selector.as_ref())?;
            let set = set_payload(set.payload, set.points_selector, set.key)?;
            UpdateOperation::PayloadOperation(PayloadOps::SetPayload(set))
        }
        Operation::OverwritePayload(set) => {
            no_shard_key(set.shard_key_selector.as_ref())?;
            let set = set_payload(set.payload, set.points_selector, set.key)?;
            UpdateOperation::PayloadOperation(PayloadOps::OverwritePayload(set))
        }
        Operation::DeletePayload(delete) => {
            no_shard_key(delete.shard_key_selector.as_ref())?;
            let keys = delete.keys.iter().map(|key| path(key)).collect::<Result<_, _>>()?;
            let (points, filter) = selected(delete.points_selector)?.split();
            UpdateOperation::PayloadOperation(PayloadOps::DeletePayload(DeletePayloadOp { keys, points, filter }))
        }
        Operation::ClearPayload(clear) => clear_payload(clear.points)?,
        Operation::ClearPayloadDeprecated(selector) => clear_payload(Some(selector))?,
        Operation::UpdateVectors(update) => {
            no_shard_key(update.shard_key_selector.as_ref())?;
            UpdateOperation::VectorOperation(VectorOperations::UpdateVectors(UpdateVectorsOp {
                points: point_vectors(update.points, config)?,
                update_filter: filter::optional(update.update_filter)?,
            }))
        }
        Operation::DeleteVectors(delete) => {
            let names = delete.vectors.map(|vectors| vectors.names).unwrap_or_default();
            UpdateOperation::VectorOperation(match selected(delete.points_selector)? {
                Selected::Ids(ids) => VectorOperations::DeleteVectors(ids.into(), names),
                Selected::Matching(filter) => VectorOperations::DeleteVectorsByFilter(filter, names),
            })
        }
    })
}

fn upsert(list: PointStructList, config: &EdgeConfig) -> Result<PointOperations, Status> {
    // Conditions are resolved before.
    let PointStructList { points, shard_key_selector, .. } = list;
    no_shard_key(shard_key_selector.as_ref())?;
    let points = points.into_iter().map(|point| {
        Ok(PointStructPersisted {
            id: point_id(point.id)?,
            vector: vector::to_store(point.vectors, config)?,
            payload: Some(payload(point.payload)),
        })
    });
    let points = points.collect::<Result<_, Status>>()?;
    Ok(PointOperations::UpsertPoints(PointInsertOperations::PointsList(points)))
}

fn point_vectors(points: Vec<qdrant::PointVectors>, config: &EdgeConfig) -> Result<Vec<PointVectorsPersisted>, Status> {
    let points = points.into_iter().map(|point| {
        Ok(PointVectorsPersisted { id: point_id(point.id)?, vector: vector::to_store(point.vectors, config)? })
    });
    points.collect()
}

fn delete_points(selector: Option<qdrant::PointsSelector>) -> Result<UpdateOperation, Status> {
    Ok(UpdateOperation::PointOperation(match selected(selector)? {
        Selected::Ids(ids) => PointOperations::DeletePoints { ids },
        Selected::Matching(filter) => PointOperations::DeletePointsByFilter(filter),
    }))
}

fn clear_payload(selector: Option<qdrant::PointsSelector>) -> Result<UpdateOperation, Status> {
    Ok(UpdateOperation::PayloadOperation(match selected(selector)? {
        Selected::Ids(points) => PayloadOps::ClearPayload { points },
        Selected::Matching(filter) => PayloadOps::ClearPayloadByFilter(filter),
    }))
}

fn set_payload(
    values: HashMap<String, qdrant::Value>,
    selector: Option<qdrant::PointsSelector>,
    key: Option<String>,
) -> Result<SetPayloadOp, Status> {
    let (points, filter) = selected(selector)?.split();
    let key = key.map(|key| path(&key)).transpose()?;
    Ok(SetPayloadOp { payload: payload(values), points, filter, key })
}

fn selected(selector: Option<qdrant::PointsSelector>) -> Result<Selected, Status> {
    match selector.and_then(|selector| selector.points_selector_one_of) {
        Some(PointsSelectorOneOf::Points(list)) => Ok(Selected::Ids(point_ids(list.ids)?)),
        Some(PointsSelectorOneOf::Filter(filter)) => Ok(Selected::Matching(filter::filter_from(filter)?)),
        None => Err(wrong("the operation names no points")),
    }
}

fn payload(values: HashMap<String, qdrant::Value>) -> Payload {
    Payload(ClientPayload::from(values).into())
}
