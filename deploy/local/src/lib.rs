//! Real engines on one machine without Docker, and the product on top of them.
//!
//! `medhub-local up` starts Postgres, Redis, Kafka, ClickHouse and Qdrant as child processes, each from a system
//! package where there is one and from a package registry otherwise, then migrates and serves. An engine whose URL is
//! set in the environment is used as it is and never started.
//!
//! ```text
//! artifact          what package clients fetch into the cache
//! folder            the folders of the cache and of a stack's data
//! prepared_folder   what is made once from artifacts and then only read
//! engine            how each engine is found, prepared and launched
//! service_port      the ports of a stack
//! health_probe      one real protocol call per engine
//! supervisor        one child process: start, restart, stop
//! supervised_stack  all child processes, in order
//! stack_state       stack.json: what runs where
//! ```

pub mod artifact;
pub mod cli;
pub mod engine;
pub mod folder;
pub mod health_probe;
pub mod java;
mod prepared_folder;
pub mod process;
mod program_version;
pub mod service_port;
pub mod stack_state;
pub mod supervised_stack;
pub mod supervisor;
