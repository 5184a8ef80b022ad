//! End-to-end tests over real engines. One binary, because each further one links everything again.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod alone;
mod architecture;
mod commands;
mod contracts;
mod dedicated_engines;
mod deployment;
mod documentation;
mod edges;
mod eventstore;
mod generation;
mod graphql;
mod guides;
mod mail;
mod notices;
mod objects;
mod operations;
mod peers;
mod processes;
mod projections;
mod registry;
mod saved_searches;
mod scheduled_jobs;
mod task_workers;
mod tenants;
mod vocabulary;
