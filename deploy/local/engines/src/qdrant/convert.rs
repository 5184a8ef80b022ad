//! Translates between Qdrant's gRPC messages and the engine's types; what has no counterpart is refused.

pub(super) mod answer;
pub(super) mod filter;
pub(super) mod operation;
pub(super) mod payload_index;
pub(super) mod query;
pub(super) mod selection;
pub(super) mod settings;
pub(super) mod vector;

use qdrant_client::qdrant::{self, point_id::PointIdOptions};
use qdrant_edge::{JsonPath, PointId, external::uuid::Uuid};
use tonic::Status;

use super::refusal::{unsupported, wrong};

/// A point's id.
pub(super) fn point_id(id: Option<qdrant::PointId>) -> Result<PointId, Status> {
    match id.and_then(|id| id.point_id_options) {
        Some(PointIdOptions::Num(number)) => Ok(PointId::NumId(number)),
        Some(PointIdOptions::Uuid(text)) => match Uuid::parse_str(&text) {
            Ok(uuid) => Ok(PointId::Uuid(uuid)),
            Err(error) => Err(wrong(format!("Unable to parse UUID: {text}: {error}"))),
        },
        None => Err(wrong("a point has no id")),
    }
}

/// Several ids.
pub(super) fn point_ids(ids: Vec<qdrant::PointId>) -> Result<Vec<PointId>, Status> {
    ids.into_iter().map(|id| point_id(Some(id))).collect()
}

/// A path into the payload, such as `place.city`.
pub(super) fn path(key: &str) -> Result<JsonPath, Status> {
    key.parse().map_err(|()| wrong(format!("`{key}` is no path of a payload")))
}

/// A count or limit that came over the wire.
pub(super) fn size(number: u64) -> Result<usize, Status> {
    usize::try_from(number).map_err(|_| wrong(format!("{number} is too large")))
}

/// A member of an enum that came over the wire.
pub(super) fn member<T: TryFrom<i32>>(number: i32) -> Result<T, Status> {
    T::try_from(number).map_err(|_| unsupported(&format!("the value {number} of an enum")))
}

/// Shards by key exist in clusters only.
pub(super) fn no_shard_key(selector: Option<&qdrant::ShardKeySelector>) -> Result<(), Status> {
    match selector {
        Some(selector) if !selector.shard_keys.is_empty() => Err(unsupported("shard keys")),
        Some(_) | None => Ok(()),
    }
}
