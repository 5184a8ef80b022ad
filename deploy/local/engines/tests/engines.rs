//! Both local engines, each in a process of its own, driven through the stock clients over TCP.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "engines/clickhouse_client.rs"]
mod clickhouse_client;
#[path = "engines/clickhouse_http.rs"]
mod clickhouse_http;
#[path = "engines/process.rs"]
mod process;
#[path = "engines/qdrant_conditions.rs"]
mod qdrant_conditions;
#[path = "engines/qdrant_durability.rs"]
mod qdrant_durability;
#[path = "engines/qdrant_requests.rs"]
mod qdrant_requests;

/// Not a test of its own: the process that [`process::EngineProcess`] starts ends up here.
#[test]
fn engine_process() {
    process::run_if_asked();
}
