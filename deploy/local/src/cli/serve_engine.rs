//! `medhub-local engine ..`: serves an engine in this process.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use medhub_engines::clickhouse;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[derive(Debug, Args)]
pub(super) struct EngineCommand {
    #[command(subcommand)]
    engine: ServableEngine,
}

#[derive(Debug, Subcommand)]
enum ServableEngine {
    /// Serve the ClickHouse engine over its HTTP interface.
    #[command(name = "clickhouse")]
    ClickHouse {
        #[command(flatten)]
        options: EngineServeOptions,
        /// The file libchdb.so.
        #[arg(long)]
        library: PathBuf,
        /// A configuration file of ClickHouse, for clusters and macros.
        #[arg(long)]
        config_file: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct EngineServeOptions {
    /// Address to listen on.
    #[arg(long)]
    listen: SocketAddr,
    /// Folder of the engine's data.
    #[arg(long)]
    folder: PathBuf,
}

impl EngineCommand {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(self.serve())?;
        Ok(ExitCode::SUCCESS)
    }

    async fn serve(self) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate()).context("listening for signals")?;
        let shutdown = CancellationToken::new();
        let cancel = shutdown.clone();
        tokio::spawn(async move {
            terminate.recv().await;
            cancel.cancel();
        });
        match self.engine {
            ServableEngine::ClickHouse { options, library, config_file } => {
                let config = clickhouse::ClickHouseServerConfig {
                    config_file,
                    ..clickhouse::ClickHouseServerConfig::new(options.listen, options.folder, library)
                };
                clickhouse::serve(config, shutdown).await.context("serving ClickHouse")
            }
        }
    }
}
