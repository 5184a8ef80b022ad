//! Runs the local Qdrant in a child process.

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use medhub_local::{
    artifact::{ArtifactCache, DownloadProgress, QDRANT},
    engine::qdrant::server_command,
    folder::default_cache_folder,
};

use crate::child_process::{ChildProcess, log_file};

/// Makes flushes and optimizations frequent, so that the kills of the tests hit them too.
const FREQUENT_MAINTENANCE: [&str; 4] = ["--maintenance-interval", "0.05", "--optimize-after", "5"];

/// Starts the server with its data and its log in a folder, and waits until it listens.
pub(crate) async fn start_server(folder: &Path) -> ChildProcess {
    let command = server_command_for("127.0.0.1:0", folder).await;
    let old_length = read_log(folder).len();
    ChildProcess::start(command, folder, || read_log(folder).get(old_length..).and_then(listening_address)).await
}

/// Starts a server that is expected to fail, and returns its log.
pub(crate) async fn start_expecting_failure(listen: &str, folder: &Path) -> String {
    let output = server_command_for(listen, folder).await.output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "the server did not fail:\n{log}");
    log
}

async fn server_command_for(listen: &str, folder: &Path) -> Command {
    let cache = env::var_os("MEDHUB_CACHE_DIR").map_or_else(default_cache_folder, PathBuf::from);
    let cache = ArtifactCache { folder: cache, use_system: true };
    QDRANT.ensure_cached(&cache, &DownloadProgress::default()).await.unwrap();
    let launch = server_command(&cache, listen, folder).unwrap();
    let mut command = Command::new(&launch.program);
    command.args(&launch.args).args(FREQUENT_MAINTENANCE).envs(&launch.variables);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Finds the server's address in its log.
fn listening_address(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once("listening on ")?;
    rest.split_once(',')?.0.parse().ok()
}

fn read_log(folder: &Path) -> String {
    fs::read_to_string(log_file(folder)).unwrap_or_default()
}
