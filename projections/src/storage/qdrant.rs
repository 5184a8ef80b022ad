//! `Qdrant`: the client, ids of points, settings.

mod config;
mod errors;
mod point_id;
mod qdrant_client;
mod server_connection;

pub use self::config::QdrantConfig;
pub(crate) use self::{
    errors::{unavailable_error, unreadable_error},
    point_id::{point_uuid, to_point_id, uuid_text},
    qdrant_client::{POINTS_PER_CALL, QdrantClient},
    server_connection::QdrantConnection,
};
