//! gRPC: tasks, for programs that request work and workers that do it, with server reflection and the health service.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `MEDHUB__GRPC__LISTEN` | `127.0.0.1:50051` | address and port; port 0 takes a free one |
//! | `MEDHUB__GRPC__REQUEST_TIMEOUT_MS` | `10000` | time limit of a call, even if its deadline is later |
//! | `MEDHUB__GRPC__MAX_REQUEST_BYTES` | `262144` | maximum length of a caller's message, in bytes |

mod admission;
mod argument_error;
mod claims;
mod conversion;
mod deadline;
mod health;
mod service;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{Router, middleware};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use serde::{Deserialize, Serialize};
use tonic::service::Routes;
use tonic_reflection::server::Builder;

pub(crate) use self::health::HealthMonitor;
use self::{pb::task_service_server::TaskServiceServer, service::TaskServiceImpl};
use crate::{
    app_context::{AppContext, BackingService},
    http::{
        request_gate::RequestGate,
        server_metrics::{self, ServedCalls},
        server_span::{self, ServerProtocol},
    },
};

/// Maximum length of a message to the health and reflection services, in bytes: it contains a few names.
const MAX_AUXILIARY_MESSAGE_BYTES: usize = 4 * 1024;

/// Generated from `proto/tasks.proto`.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::pedantic,
    clippy::missing_errors_doc,
    reason = "generated code; the description documents it"
)]
mod pb {
    tonic::include_proto!("medhub.tasks.v1");

    /// The encoded description, for reflection.
    pub(super) const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tasks.bin"));
}

/// Configuration of the gRPC edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrpcConfig {
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Time limit of a call, in milliseconds.
    pub request_timeout_ms: u64,
    /// Maximum length of a caller's message, in bytes.
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

/// Returns all services, and the monitor that updates the health service by the engines that the process needs.
///
/// # Errors
/// [`tonic_reflection::server::Error`] when the encoded description is invalid: a defect of the build.
pub fn router(
    config: &GrpcConfig,
    app: &AppContext,
    engines: &'static [BackingService],
    gate: RequestGate,
) -> Result<(Router, HealthMonitor), tonic_reflection::server::Error> {
    let description = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(pb::DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let (reporter, health) = tonic_health::server::health_reporter();
    let tasks = TaskServiceServer::new(TaskServiceImpl::new(app.clone(), gate.clone()));
    let tasks = tasks.max_decoding_message_size(config.max_request_bytes);
    let services = Routes::new(tasks)
        .add_service(health.max_decoding_message_size(MAX_AUXILIARY_MESSAGE_BYTES))
        // Older clients, among them grpcurl, use the v1alpha name of the reflection service.
        .add_service(description().build_v1()?.max_decoding_message_size(MAX_AUXILIARY_MESSAGE_BYTES))
        .add_service(description().build_v1alpha()?.max_decoding_message_size(MAX_AUXILIARY_MESSAGE_BYTES));
    let time_limit = Duration::from_millis(config.request_timeout_ms);
    // In one call: each one adds a service that is copied with all inside of it, for each request. The first is the outermost.
    let router = services.into_axum_router().layer((
        server_span::server_span_layer(ServerProtocol::Grpc),
        middleware::from_fn_with_state(Arc::new(served_calls()?), server_metrics::measure_rpc),
        middleware::from_fn_with_state(time_limit, deadline::enforce_deadline),
        middleware::from_fn_with_state(gate, admission::admit_call),
    ));
    Ok((router, HealthMonitor::new(app.clone(), engines, reporter)))
}

/// The calls of all services, by the descriptions that clients get.
fn served_calls() -> Result<ServedCalls, prost::DecodeError> {
    let mut calls = ServedCalls::new();
    for description in [
        pb::DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ] {
        for file in FileDescriptorSet::decode(description)?.file {
            for service in &file.service {
                let name = format!("{}.{}", file.package(), service.name());
                calls.extend(service.method.iter().map(|method| format!("{name}/{}", method.name())));
            }
        }
    }
    Ok(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_services_are_among_the_served_calls() {
        let calls = served_calls().unwrap();
        for call in [
            "medhub.tasks.v1.TaskService/ListTasks",
            "grpc.health.v1.Health/Check",
            "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ] {
            assert!(calls.contains(call), "{call} is missing in {calls:?}");
        }
        assert!(!calls.contains("medhub.tasks.v1.TaskService/Anything"));
    }
}
