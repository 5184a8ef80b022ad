//! The edges of `MedContractHub`: GraphQL, REST, gRPC and WebSockets, with authentication and limits.
//!
//! This crate contains no domain rules: it translates requests and calls the other crates. `server` composes it into the
//! program `medhub`. The folders depend on each other in one direction (`tests/it/architecture.rs`):
//!
//! ```text
//! routes ──▶ graphql, rest, grpc, readiness ──▶ tenant_commands ──▶ app_context ──▶ opportunity_lists
//!    └──────────────────▶ http ──▶ auth ──▶ config ◀──────────────────────┘
//! ```
//!
//! `http` and `opportunity_lists` admit work through `admission_queue`.

mod admission_queue;
pub mod app_context;
pub mod auth;
pub mod config;
mod consistency;
mod consistency_wait;
mod generation_slots;
pub mod graphql;
pub mod grpc;
pub mod http;
mod opportunity_lists;
mod pagination;
pub mod readiness;
pub mod rest;
pub mod routes;
mod tenant_commands;
