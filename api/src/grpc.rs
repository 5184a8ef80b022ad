//! gRPC: tasks, for programs that ask for work and for workers that do it; reflection tells what is served, and the
//! health service whether it is.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `MEDHUB__GRPC__LISTEN` | `127.0.0.1:50051` | address and port; port 0 takes a free one |

mod guard;
mod service;
mod view;

use std::net::{Ipv4Addr, SocketAddr};

use axum::{Router, middleware};
use serde::{Deserialize, Serialize};
use tonic::service::Routes;
use tonic_reflection::server::Builder;

use self::service::Tasks;
use crate::{http::door::Door, store::Stores};

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
    pub(super) const DESCRIPTION: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tasks.bin"));
}

/// Settings of gRPC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrpcConfig {
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
}

impl Default for GrpcConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 50_051)) }
    }
}

/// All services.
///
/// # Errors
/// [`tonic_reflection::server::Error`] when the description cannot be read: a defect of ours.
pub(crate) async fn router(stores: &Stores, door: Door) -> Result<Router, tonic_reflection::server::Error> {
    let description = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(pb::DESCRIPTION)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<pb::task_service_server::TaskServiceServer<Tasks>>().await;
    let services = Routes::new(pb::task_service_server::TaskServiceServer::new(Tasks::new(stores.clone())))
        .add_service(health)
        // Older clients, grpcurl among them, ask by the name that the service had before it was settled.
        .add_service(description().build_v1()?)
        .add_service(description().build_v1alpha()?);
    Ok(services.into_axum_router().layer(middleware::from_fn_with_state(door, guard::guard)))
}
