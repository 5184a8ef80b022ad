//! Tests of the local Qdrant in a separate process, through the stock client over TCP.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed step of a test panics")]

#[path = "../engines/tests/engines/child_process.rs"]
mod child_process;
#[path = "qdrant/conditions.rs"]
mod conditions;
#[path = "qdrant/durability.rs"]
mod durability;
#[path = "qdrant/large_vectors.rs"]
mod large_vectors;
#[path = "qdrant/requests.rs"]
mod requests;
#[path = "qdrant_server/process.rs"]
mod server_process;
