//! Real engines behind their production protocols, so that a machine without servers runs the same client code.
//!
//! * [`clickhouse`]: `libchdb` (the ClickHouse engine) behind ClickHouse's HTTP interface.
//! * [`qdrant`]: `qdrant-edge` (Qdrant's own engine) behind Qdrant's gRPC interface.
//!
//! Each server opens a data folder that survives restarts and a killed process, and refuses a folder that another
//! process already uses.

pub mod clickhouse;
mod data_folder;
mod error;
pub mod qdrant;

pub use error::EngineError;
