//! End-to-end tests over real engines. One binary, because each further one links everything again.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod architecture;
mod chaos;
mod commands;
mod contracts;
mod edges;
mod eventstore;
mod faults;
mod graphql;
mod local_stack;
mod notices;
mod operate;
mod projections;
mod registry;
mod tenants;
