//! Runs the local Qdrant in a child process.

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use medhub_local::{
    engine::qdrant::server_command,
    folder::default_cache,
    piece::{Cache, Progress, QDRANT},
};

const TIMEOUT: Duration = Duration::from_mins(1);

/// Flushes and optimizations come often, so that the kills of the tests hit them too.
const FREQUENT_MAINTENANCE: [&str; 4] = ["--maintenance-interval", "0.05", "--optimize-after", "5"];

/// A running server; killed when dropped.
pub(crate) struct ServerProcess {
    child: Child,
    folder: PathBuf,
    pub(crate) address: SocketAddr,
    pub(crate) ready_after: Duration,
}

impl ServerProcess {
    /// Starts the server with its data and its log in a folder, and waits until it listens.
    pub(crate) async fn start(folder: &Path) -> Self {
        let mut command = server_program("127.0.0.1:0", folder).await;
        let started = Instant::now();
        let log = fs::File::options().create(true).append(true).open(log_file(folder)).unwrap();
        let known = read_log(folder).len();
        let mut child = command.stderr(log).spawn().unwrap();
        let address = loop {
            if let Some(address) = read_log(folder).get(known..).and_then(listening_address) {
                break address;
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the server ended with {status}:\n{}", log_tail(folder));
            }
            assert!(started.elapsed() < TIMEOUT, "the server is not ready:\n{}", log_tail(folder));
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        Self { child, folder: folder.to_owned(), address, ready_after: started.elapsed() }
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops it as `medhub-local` does and expects a clean end.
    pub(crate) async fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let status = self.wait().await;
        assert!(status.success(), "ended with {status}:\n{}", log_tail(&self.folder));
    }

    async fn wait(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < TIMEOUT, "the server does not end:\n{}", log_tail(&self.folder));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Resident memory in MiB.
    pub(crate) fn resident_mib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Starts a server that cannot run; returns what it logged.
pub(crate) async fn start_expecting_failure(listen: &str, folder: &Path) -> String {
    let output = server_program(listen, folder).await.output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "the server ran:\n{log}");
    log
}

async fn server_program(listen: &str, folder: &Path) -> Command {
    let cache = env::var_os("MEDHUB_CACHE_DIR").map_or_else(default_cache, PathBuf::from);
    let cache = Cache { folder: cache, use_system: true };
    QDRANT.ensure(&cache, &Progress::default()).await.unwrap();
    let launch = server_command(&cache, listen, &folder.join("qdrant")).unwrap();
    let mut command = Command::new(&launch.program);
    command.args(&launch.args).args(FREQUENT_MAINTENANCE).envs(&launch.variables);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// The address in a log that says where the server listens.
fn listening_address(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once("listening on ")?;
    rest.split_once(',')?.0.parse().ok()
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("log")
}

fn read_log(folder: &Path) -> String {
    fs::read_to_string(log_file(folder)).unwrap_or_default()
}

fn log_tail(folder: &Path) -> String {
    let log = read_log(folder);
    log.lines().rev().take(20).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
}
