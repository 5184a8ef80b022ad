//! gRPC: tasks, for programs that ask for work and for workers that do it; reflection tells what is served, and the
//! health service whether it is.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `MEDHUB__GRPC__LISTEN` | `127.0.0.1:50051` | address and port; port 0 takes a free one |
//! | `MEDHUB__GRPC__REQUEST_TIMEOUT_MS` | `10000` | one call, also where its caller would wait longer |
//! | `MEDHUB__GRPC__MAX_REQUEST_BYTES` | `262144` | one message of a caller |

mod admission;
mod conversion;
mod deadline;
mod health;
mod service;

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use axum::{Router, middleware};
use serde::{Deserialize, Serialize};
use tonic::service::Routes;
use tonic_reflection::server::Builder;

pub(crate) use self::health::HealthMonitor;
use self::{pb::task_service_server::TaskServiceServer, service::TaskServiceImpl};
use crate::{
    app_context::{AppContext, BackingService},
    http::request_gate::RequestGate,
};

/// Longest message to the services that are for everybody, in bytes: a name or two.
const MAX_AUXILIARY_MESSAGE_BYTES: usize = 4 * 1024;

/// What is made of `proto/tasks.proto`.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::pedantic,
    clippy::missing_errors_doc,
    reason = "made by a program, from a description that says what everything is"
)]
mod pb {
    tonic::include_proto!("medhub.tasks.v1");

    /// The description itself, for reflection.
    pub(super) const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tasks.bin"));
}

/// Settings of gRPC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrpcConfig {
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How long one call may take, in milliseconds.
    pub request_timeout_ms: u64,
    /// Longest message of a caller, in bytes.
    pub max_request_bytes: usize,
}

impl Default for GrpcConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 50_051)),
            request_timeout_ms: 10_000,
            max_request_bytes: 256 * 1024,
        }
    }
}

/// All services, and what keeps the health service up to date, by the engines that the process needs.
///
/// # Errors
/// [`tonic_reflection::start_socket_server::Error`] when the description cannot be read: a defect of ours.
pub(crate) fn router(
    config: &GrpcConfig,
    stores: &AppContext,
    engines: &'static [BackingService],
    door: RequestGate,
) -> Result<(Router, HealthMonitor), tonic_reflection::server::Error> {
    let description = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(pb::DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let (reporter, health) = tonic_health::server::health_reporter();
    let tasks = TaskServiceServer::new(TaskServiceImpl::new(stores.clone()))
        .max_decoding_message_size(config.max_request_bytes);
    let services = Routes::new(tasks)
        .add_service(health.max_decoding_message_size(MAX_AUXILIARY_MESSAGE_BYTES))
        // Older clients, grpcurl among them, ask by the name that the service had before it was settled.
        .add_service(description().build_v1()?.max_decoding_message_size(MAX_AUXILIARY_MESSAGE_BYTES))
        .add_service(description().build_v1alpha()?.max_decoding_message_size(MAX_AUXILIARY_MESSAGE_BYTES));
    let longest = Duration::from_millis(config.request_timeout_ms);
    let router = services
        .into_axum_router()
        .layer(middleware::from_fn_with_state(door, admission::admit_call))
        .layer(middleware::from_fn_with_state(longest, deadline::enforce_deadline));
    Ok((router, HealthMonitor::new(stores.clone(), engines, reporter)))
}
