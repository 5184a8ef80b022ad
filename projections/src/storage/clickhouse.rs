//! `ClickHouse`: the client, migrations, tables on a cluster, classification of errors, settings.

mod clickhouse_client;
mod cluster_problems;
mod cluster_statements;
mod config;
mod errors;
mod migrations;
mod table_placement;

pub use self::config::ClickHouseConfig;
pub(crate) use self::{
    clickhouse_client::{ClickHouseClient, TIME_LIMIT_SETTING},
    migrations::{MigrationSet, TableRetention, split_statements},
    table_placement::TablePlacement,
};
