//! Everything that is not GraphQL: REST, ingest, gRPC, health; and what is wrong on purpose at every edge.

mod bad_input;
mod client;
mod files;
mod grpc;
mod ingest;
mod rest;
