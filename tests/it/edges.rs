//! The edges other than GraphQL: REST, ingest, gRPC, health; and invalid requests at every edge.

mod bad_input;
mod client;
mod connection_time_limits;
mod files;
mod grpc;
mod ingest;
mod overload;
mod rest;
