//! The Qdrant engine (`qdrant-edge`) behind Qdrant's gRPC interface.
//!
//! Collections with dense, multi and sparse vectors, aliases, all changes of points, reads by id, page, count, facet and
//! search (nearest, recommend, fusion of prefetches, order by, sample, diversity) work as on a server; everything else
//! (discovery, formulas, groups, inference, quantization, geographic filters, clusters, snapshots) is refused with
//! `UNIMPLEMENTED`. Every change is applied before it is answered and survives a killed process.

mod api;
mod catalog;
mod collection;
mod collections;
mod condition;
mod convert;
mod journal;
mod points;
mod reading;
mod refusal;
mod repair;
mod upkeep;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use qdrant_client::qdrant::{
    collections_server::CollectionsServer, points_server::PointsServer, qdrant_server::QdrantServer,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    codec::CompressionEncoding,
    transport::{Server, server::TcpIncoming},
};

use self::{api::Api, catalog::Catalog};
use crate::{EngineError, data_folder::DataFolder};

/// How to serve the local Qdrant.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address of the gRPC interface.
    pub listen: SocketAddr,
    /// Folder of the data; made where it is missing.
    pub data_dir: PathBuf,
    /// Largest message in either direction, in bytes.
    pub max_message_bytes: usize,
    /// How often the engine writes changes down and looks after its indexes.
    pub flush_interval: Duration,
    /// After so many changes of a collection, and an interval without one, the engine rebuilds its indexes.
    pub optimise_after: u64,
    /// How long running requests may take after the shutdown began.
    pub drain: Duration,
}

impl Config {
    /// A configuration with the usual limits.
    pub fn new(listen: SocketAddr, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            listen,
            data_dir: data_dir.into(),
            max_message_bytes: 64 << 20,
            flush_interval: Duration::from_secs(5),
            optimise_after: 100,
            drain: Duration::from_secs(5),
        }
    }
}

/// Serves until the token is cancelled, then drains and closes the collections.
///
/// # Errors
/// Where the address cannot be listened on, the data folder is in use or cannot be opened, or the server breaks.
pub async fn serve(config: Config, shutdown: CancellationToken) -> Result<(), EngineError> {
    let address = config.listen;
    // Opened first, so that an open port means open collections.
    let opened = open(&config).await?;
    let listener = TcpListener::bind(address).await.map_err(|source| EngineError::Listen { address, source })?;
    run(listener, config, opened, shutdown).await
}

/// As [`serve`], on a listener that is already bound.
///
/// # Errors
/// As [`serve`].
pub async fn serve_on(listener: TcpListener, config: Config, shutdown: CancellationToken) -> Result<(), EngineError> {
    let opened = open(&config).await?;
    run(listener, config, opened, shutdown).await
}

struct Opened {
    catalog: Arc<Catalog>,
    folder: DataFolder,
    took: Duration,
}

async fn open(config: &Config) -> Result<Opened, EngineError> {
    let path = config.data_dir.clone();
    let opening = tokio::task::spawn_blocking(move || {
        let started = Instant::now();
        let folder = DataFolder::open(&path)?;
        let catalog = Arc::new(Catalog::open(folder.path())?);
        Ok(Opened { catalog, folder, took: started.elapsed() })
    });
    let failed =
        |error: tokio::task::JoinError| EngineError::Open { path: config.data_dir.clone(), reason: error.to_string() };
    opening.await.unwrap_or_else(|error| Err(failed(error)))
}

async fn run(
    listener: TcpListener,
    config: Config,
    opened: Opened,
    shutdown: CancellationToken,
) -> Result<(), EngineError> {
    let Opened { catalog, folder, took } = opened;
    let broken = |source| EngineError::DataFolder { path: folder.path().to_owned(), source };
    let upkeep = upkeep::start(Arc::clone(&catalog), config.flush_interval, config.optimise_after).map_err(broken)?;
    let address = listener.local_addr().map_err(EngineError::Http)?;
    let (collections, ready_ms) = (catalog.names().len(), took.as_millis());
    tracing::info!(engine.name = "qdrant", collections, listen = %address, ready_ms, "engine ready");
    let server = router(&catalog, config.max_message_bytes).serve_with_incoming_shutdown(
        TcpIncoming::from(listener).with_nodelay(Some(true)),
        shutdown.clone().cancelled_owned(),
    );
    let overdue = async {
        shutdown.cancelled().await;
        tokio::time::sleep(config.drain).await;
    };
    let outcome = tokio::select! {
        ended = server => ended.map_err(EngineError::Grpc),
        () = overdue => Ok(()),
    };
    drop(upkeep);
    close(catalog).await;
    drop(folder);
    outcome
}

fn router(catalog: &Arc<Catalog>, limit: usize) -> tonic::transport::server::Router {
    let api = Api::new(Arc::clone(catalog));
    let points = PointsServer::new(api.clone())
        .max_decoding_message_size(limit)
        .max_encoding_message_size(limit)
        .accept_compressed(CompressionEncoding::Gzip);
    let collections = CollectionsServer::new(api.clone()).accept_compressed(CompressionEncoding::Gzip);
    Server::builder().add_service(points).add_service(collections).add_service(QdrantServer::new(api))
}

async fn close(catalog: Arc<Catalog>) {
    let closing =
        tokio::task::spawn_blocking(move || catalog.all().iter().filter(|collection| !collection.close()).count());
    match closing.await {
        Ok(0) => {}
        Ok(busy) => tracing::info!(collections = busy, "left busy collections to their journals"),
        Err(error) => tracing::error!(%error, "closing the collections failed"),
    }
}
