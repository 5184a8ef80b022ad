//! Listeners of the edges, and the parts that serve them.

use std::net::SocketAddr;

use api::http::connection::{self, ConnectionLimits, ServerCertificate, ServerStop};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    ServeError,
    part_supervisor::{PartSupervisor, ShutdownStage},
};
use crate::{config::MedhubConfig, file_limit};

/// Listens on an address; port 0 is any free one.
pub(super) async fn bind_listener(edge: &'static str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    let listen_error = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    tracing::info!(edge, %address, "listening");
    Ok(listener)
}

/// Starts the part that serves the requests of a listener.
pub(super) fn start_http_server(
    name: &'static str,
    listener: TcpListener,
    certificate: Option<ServerCertificate>,
    router: axum::Router,
    limits: ConnectionLimits,
    parts: &mut PartSupervisor,
) {
    let announced = parts.stop_announcement();
    parts.spawn_part(ShutdownStage::Edges, name, |stop: CancellationToken| async move {
        let stop = ServerStop::new(announced, stop);
        connection::serve(listener, certificate, router, limits.for_edge(name), stop).await;
        Ok(())
    });
}

/// Reads the certificate of the listeners; `None` if they have no TLS.
pub(super) fn open_certificate(config: &MedhubConfig) -> Result<Option<ServerCertificate>, ServeError> {
    ServerCertificate::open(&config.http.tls).map_err(ServeError::Certificate)
}

/// Returns the limits of connections; their number is also limited by the file descriptors of the process.
pub(super) fn connection_limits(config: &MedhubConfig) -> ConnectionLimits {
    let mut limits = ConnectionLimits::new(&config.http, config.limits.trust_forwarded);
    match file_limit::raise_file_limit() {
        Ok(files) => limits.cap_by_open_files(files),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "raising the limit of open files failed");
        }
    }
    limits
}
