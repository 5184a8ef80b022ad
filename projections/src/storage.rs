//! Clients of the databases that hold read models: connections, settings, classification of errors, and what is common
//! to the read models of one database. No projection is named here.

pub mod clickhouse;
pub mod qdrant;
mod query_metrics;
mod redacted_url;
pub mod redis;

pub(crate) use self::{query_metrics::count_query, redacted_url::RedactedUrl};
