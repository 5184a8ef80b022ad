//! `ClickHouse`: the client, migrations, classification of errors, settings.

mod clickhouse_client;
mod config;
mod errors;
mod migrations;

pub(crate) use self::clickhouse_client::ClickHouseClient;
pub use self::config::ClickHouseConfig;
#[cfg(test)]
pub(crate) use self::migrations::split_statements;
