//! The ClickHouse engine behind its production protocol, so that a machine without a server runs the same client code.
//!
//! [`clickhouse`] serves `libchdb` (the ClickHouse engine as a library) over ClickHouse's HTTP interface. The server
//! opens a data folder that survives restarts and a killed process, and refuses a folder that another process already
//! uses.

pub mod clickhouse;
mod data_folder;
mod error;

pub use error::EngineError;
