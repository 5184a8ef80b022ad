//! `Postgres` as a storage of read models: a schema for each generation, and separate connections.

mod config;
mod errors;
mod postgres_client;
mod statement_connections;

pub use self::config::ListsConfig;
pub(crate) use self::postgres_client::{FillState, PostgresClient, RowLock};
