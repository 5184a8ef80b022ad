//! Tests of the local ClickHouse in a separate process, through stock clients over TCP.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed step of a test panics")]

#[path = "engines/child_process.rs"]
mod child_process;
#[path = "engines/clickhouse_client.rs"]
mod clickhouse_client;
#[path = "engines/clickhouse_http.rs"]
mod clickhouse_http;
#[path = "engines/process.rs"]
mod process;

/// Not a test: the entry of the child process that [`process::start_engine`] starts.
#[test]
fn engine_process() {
    process::run_in_child();
}
