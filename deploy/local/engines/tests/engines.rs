//! The local ClickHouse in a process of its own, driven through stock clients over TCP.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "engines/child_process.rs"]
mod child_process;
#[path = "engines/clickhouse_client.rs"]
mod clickhouse_client;
#[path = "engines/clickhouse_http.rs"]
mod clickhouse_http;
#[path = "engines/process.rs"]
mod process;

/// Not a test of its own: the process that [`process::start_engine`] starts ends up here.
#[test]
fn engine_process() {
    process::run_if_asked();
}
