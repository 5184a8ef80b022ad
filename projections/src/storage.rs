//! Clients of the databases that hold read models: connections, settings, classification of errors, and code that the
//! read models of one database share. Nothing here depends on a projection.

pub mod clickhouse;
pub mod postgres;
pub mod qdrant;
mod query_metrics;
mod redacted_url;
pub mod redis;
mod storage_problem;

pub use self::storage_problem::StorageProblem;
pub(crate) use self::{query_metrics::count_query, redacted_url::RedactedUrl};
