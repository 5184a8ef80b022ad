//! A child process that runs a server and logs into a folder; the tests of the local Qdrant include this file too.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

const PROCESS_TIMEOUT: Duration = Duration::from_mins(1);
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A running server; killed when dropped.
pub(crate) struct ChildProcess {
    child: Child,
    folder: PathBuf,
    pub(crate) address: SocketAddr,
    pub(crate) ready_after: Duration,
}

impl ChildProcess {
    /// Starts a server that logs to its standard error, and waits until `find_address` returns the address.
    pub(crate) async fn start(
        mut command: Command,
        folder: &Path,
        find_address: impl Fn() -> Option<SocketAddr>,
    ) -> Self {
        let started = Instant::now();
        let log = fs::File::options().create(true).append(true).open(log_file(folder)).unwrap();
        let mut child = command.stderr(log).spawn().unwrap();
        let address = loop {
            if let Some(address) = find_address() {
                break address;
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the server ended with {status}:\n{}", log_tail(folder));
            }
            assert!(started.elapsed() < PROCESS_TIMEOUT, "the server is not ready:\n{}", log_tail(folder));
            tokio::time::sleep(POLL_INTERVAL).await;
        };
        Self { child, folder: folder.to_owned(), address, ready_after: started.elapsed() }
    }

    /// Kills the process with SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM without waiting.
    pub(crate) fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Waits for the process to end by itself.
    pub(crate) async fn wait(mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < PROCESS_TIMEOUT, "the server did not end:\n{}", log_tail(&self.folder));
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Stops the process as `medhub-local` does, and asserts that it ends with success.
    pub(crate) async fn stop(self) {
        self.terminate();
        let folder = self.folder.clone();
        let status = self.wait().await;
        assert!(status.success(), "ended with {status}:\n{}", log_tail(&folder));
    }

    /// Resident memory in MiB.
    pub(crate) fn resident_mib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The log file of the server on a folder.
pub(crate) fn log_file(folder: &Path) -> PathBuf {
    folder.join("log")
}

fn log_tail(folder: &Path) -> String {
    let log = fs::read_to_string(log_file(folder)).unwrap_or_default();
    log.lines().rev().take(20).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
}
