//! Real engines on one machine without Docker, and the product on top of them.
//!
//! `medhub-local up` starts Postgres, Redis, Kafka, ClickHouse and Qdrant as child processes, each from a system package
//! where there is one and from a package registry otherwise, then migrates and serves. An engine whose URL stands in the
//! environment is used as it is and never started.
//!
//! ```text
//! piece      what package clients bring into the cache      engine     how each engine is found, prepared, launched
//! folder     where cache and data live                      health     one real protocol call per engine
//! port       which ports a stack gets                       supervise  one child: start, restart, stop
//! state      stack.json: what runs where                    stack      all children, in order
//! prepared_folder   what is made once from pieces and then only read
//! ```

pub mod artifact;
pub mod cli;
pub mod engine;
pub mod folder;
pub mod health_probe;
mod prepared_folder;
pub mod process;
pub mod service_port;
pub mod stack_state;
pub mod supervised_stack;
pub mod supervisor;
