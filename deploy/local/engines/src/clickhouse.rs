//! The ClickHouse engine (`libchdb`) behind ClickHouse's HTTP interface.
//!
//! Every request uses its own connection: settings, database and `readonly` end with it; a session (`session_id`) sets
//! them again. Compressed transfer is supported, because clients use it by default. Result formats that consist of rows
//! are streamed in bounded memory; formats with an envelope (JSON, Pretty, Parquet and others) are made as a whole, up
//! to [`ClickHouseServerConfig::max_result_bytes`]. The data of an `INSERT` goes through a file of the data folder,
//! because the engine corrupts some binary data that is part of the statement's text. Roles, external tables, temporary
//! tables of a session and bodies in encodings other than gzip, deflate and lz4 are refused with `NOT_IMPLEMENTED`.
//! When a client disconnects, its statement stops at the next chunk of the result.

mod body_compression;
mod chdb_engine;
mod chdb_ffi;
mod exception;
mod http_interface;
mod login_access;
mod multipart_form;
mod native_format;
mod query_request;
mod request_body;
mod response;
mod session_store;
mod statement;
mod stream_framing;
mod tokenizer;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::serve::ListenerExt;
use secrecy::SecretString;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;

use self::{
    chdb_engine::ChdbEngine, http_interface::HttpInterface, login_access::LoginPasswords, session_store::SessionStore,
};
use crate::{EngineError, data_folder::DataFolder};

/// Configuration of the local ClickHouse server.
#[derive(Clone, Debug)]
pub struct ClickHouseServerConfig {
    /// Address of the HTTP interface.
    pub listen: SocketAddr,
    /// Folder of the data; created if it is missing.
    pub data_dir: PathBuf,
    /// The engine's library, `libchdb.so`.
    pub library: PathBuf,
    /// A configuration file of ClickHouse; the engine reads clusters and macros from it, among others.
    pub config_file: Option<PathBuf>,
    /// Password of user `default`, who may do everything; empty if none is required.
    pub password: SecretString,
    /// Password of user `analyst`, who may read (`readonly=1`).
    pub analyst_password: SecretString,
    /// Maximum size of a request's body, in bytes.
    pub max_body_bytes: u64,
    /// Maximum length of a statement's text, in bytes.
    pub max_statement_bytes: usize,
    /// Maximum size of a result in a format that cannot be streamed, in bytes of the engine's memory.
    pub max_result_bytes: u64,
    /// Maximum number of statements that run at once; others wait.
    pub max_connections: usize,
    /// Time limit for running requests after the shutdown began.
    pub drain: Duration,
}

impl ClickHouseServerConfig {
    /// A configuration without a password for `default`, with the usual limits.
    pub fn new(listen: SocketAddr, data_dir: impl Into<PathBuf>, library: impl Into<PathBuf>) -> Self {
        Self {
            listen,
            data_dir: data_dir.into(),
            library: library.into(),
            config_file: None,
            password: SecretString::default(),
            analyst_password: "analyst".into(),
            max_body_bytes: 4 << 30,
            max_statement_bytes: 16 << 20,
            max_result_bytes: 512 << 20,
            max_connections: 16,
            drain: Duration::from_secs(5),
        }
    }
}

/// Serves until the token is cancelled, then drains and closes the engine.
///
/// # Errors
/// If the server cannot listen on the address, the library is missing or unusable, the data folder is in use or cannot
/// be opened, or the server fails.
pub async fn serve(config: ClickHouseServerConfig, shutdown: CancellationToken) -> Result<(), EngineError> {
    let address = config.listen;
    // The engine is opened first, so that an open port means a ready engine.
    let opened = open_server(config).await?;
    let listener = TcpListener::bind(address).await.map_err(|source| EngineError::Listen { address, source })?;
    run(listener, opened, shutdown).await
}

/// As [`serve`], on a listener that is already bound.
///
/// # Errors
/// As [`serve`].
pub async fn serve_on(
    listener: TcpListener,
    config: ClickHouseServerConfig,
    shutdown: CancellationToken,
) -> Result<(), EngineError> {
    run(listener, open_server(config).await?, shutdown).await
}

struct OpenedServer {
    interface: Arc<HttpInterface>,
    folder: DataFolder,
    statements: usize,
    drain: Duration,
    opened_in: Duration,
}

async fn open_server(config: ClickHouseServerConfig) -> Result<OpenedServer, EngineError> {
    let path = config.data_dir.clone();
    let opening = tokio::task::spawn_blocking(move || open_blocking(config));
    opening.await.unwrap_or_else(|error| Err(EngineError::Open { path, reason: error.to_string() }))
}

fn open_blocking(config: ClickHouseServerConfig) -> Result<OpenedServer, EngineError> {
    let started = Instant::now();
    let folder = DataFolder::open(&config.data_dir)?;
    let spool = folder.empty_subfolder("spool")?;
    let engine = ChdbEngine::open(&config.library, &folder.path().join("store"), config.config_file.as_deref())?;
    let interface = Arc::new(HttpInterface {
        engine,
        sessions: SessionStore::default(),
        logins: LoginPasswords { default: config.password, analyst: config.analyst_password },
        spool,
        max_body_bytes: config.max_body_bytes,
        max_statement_bytes: config.max_statement_bytes,
        max_result_bytes: config.max_result_bytes,
        permits: Arc::new(Semaphore::new(config.max_connections)),
    });
    let (statements, drain) = (config.max_connections, config.drain);
    Ok(OpenedServer { interface, folder, statements, drain, opened_in: started.elapsed() })
}

async fn run(listener: TcpListener, opened: OpenedServer, shutdown: CancellationToken) -> Result<(), EngineError> {
    let OpenedServer { interface, folder, statements, drain, opened_in } = opened;
    let address = listener.local_addr().map_err(EngineError::Http)?;
    let version = interface.engine.version();
    let ready_ms = opened_in.as_millis();
    tracing::info!(engine.name = "clickhouse", engine.version = version, listen = %address, ready_ms, "engine ready");
    let listener = listener.tap_io(|stream: &mut TcpStream| {
        // Responses are small and awaited; a failure here only costs time.
        stream.set_nodelay(true).ok();
    });
    let routes = http_interface::build_router(Arc::clone(&interface));
    let server = axum::serve(listener, routes).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let overdue = async {
        shutdown.cancelled().await;
        tokio::time::sleep(drain).await;
    };
    let outcome = tokio::select! {
        outcome = server.into_future() => outcome.map_err(EngineError::Http),
        () = overdue => Ok(()),
    };
    close(&interface, statements, drain).await;
    drop(folder);
    outcome
}

/// Waits for running statements, then closes the engine.
async fn close(interface: &Arc<HttpInterface>, statements: usize, time_limit: Duration) {
    let all = u32::try_from(statements).unwrap_or(u32::MAX);
    if tokio::time::timeout(time_limit, interface.permits.acquire_many(all)).await.is_err() {
        tracing::warn!("statements are still running, closing the engine without them");
    }
    let interface = Arc::clone(interface);
    if let Err(error) = tokio::task::spawn_blocking(move || interface.engine.close()).await {
        tracing::error!(%error, "closing the engine failed");
    }
}
