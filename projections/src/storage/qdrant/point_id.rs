//! Ids of points.

use qdrant_client::qdrant::{PointId, RetrievedPoint, point_id::PointIdOptions};
use uuid::Uuid;

/// The id of a point in the client's type.
pub(crate) fn to_point_id(id: Uuid) -> PointId {
    id.to_string().into()
}

/// The id of a point as text.
pub(crate) fn point_uuid(point: &RetrievedPoint) -> Option<&str> {
    point.id.as_ref().and_then(uuid_text)
}

/// An id as text; `None` for a numeric one.
pub(crate) fn uuid_text(id: &PointId) -> Option<&str> {
    match id.point_id_options.as_ref()? {
        PointIdOptions::Uuid(uuid) => Some(uuid),
        // This program never assigns numeric ids.
        PointIdOptions::Num(_) => None,
    }
}
