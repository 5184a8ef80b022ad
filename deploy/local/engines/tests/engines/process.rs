//! Runs an engine in a child process: this same test program, told by its environment to be the engine.

use std::{
    env, fs,
    io::Read,
    net::SocketAddr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use medhub_engines::{EngineError, clickhouse};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

const FOLDER: &str = "MEDHUB_TEST_FOLDER";
const PATIENCE: Duration = Duration::from_mins(1);

/// A running engine; killed when dropped.
pub(crate) struct EngineProcess {
    child: Child,
    folder: PathBuf,
    pub(crate) address: SocketAddr,
    pub(crate) ready_after: Duration,
}

impl EngineProcess {
    /// Starts the engine on a folder and waits until it listens.
    pub(crate) fn start(folder: &Path) -> Self {
        // Fails here, in the test's own words, where the library is missing.
        libchdb();
        let started = Instant::now();
        let address_file = folder.join("address");
        fs::remove_file(&address_file).ok();
        let log = fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "engine_process", "--nocapture"])
            .env(FOLDER, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let address = loop {
            if let Some(address) = fs::read_to_string(&address_file).ok().and_then(|text| text.trim().parse().ok()) {
                break address;
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the engine ended with {status}:\n{}", tail(folder));
            }
            assert!(started.elapsed() < PATIENCE, "the engine is not ready:\n{}", tail(folder));
            thread::sleep(Duration::from_millis(5));
        };
        Self { child, folder: folder.to_owned(), address, ready_after: started.elapsed() }
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// `SIGTERM`, without waiting.
    pub(crate) fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Waits for the process to end by itself.
    pub(crate) fn wait(mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "the engine does not end:\n{}", tail(&self.folder));
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops it as `medhub-local` does and expects a clean end.
    pub(crate) fn stop(self) {
        self.terminate();
        let folder = self.folder.clone();
        let status = self.wait();
        assert!(status.success(), "ended with {status}:\n{}", tail(&folder));
    }

    /// Resident memory in MiB.
    pub(crate) fn resident_mib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }
}

impl Drop for EngineProcess {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Where `medhub-local fetch` puts the library, unless `MEDHUB_LIBCHDB` names another one.
pub(crate) fn libchdb() -> PathBuf {
    if let Some(path) = env::var_os("MEDHUB_LIBCHDB") {
        return PathBuf::from(path);
    }
    let path = env::var_os("MEDHUB_CACHE_DIR").map_or_else(usual_cache, PathBuf::from).join("chdb/libchdb.so");
    // `cargo test --workspace` builds the program beside this test's executable.
    let program = env::current_exe().unwrap().ancestors().nth(2).unwrap().join("medhub-local");
    if !path.exists() && program.exists() {
        let fetched = Command::new(program).args(["fetch", "chdb"]).status().unwrap();
        assert!(fetched.success(), "`medhub-local fetch chdb` ended with {fetched}");
    }
    assert!(
        path.exists(),
        "{} does not exist: run `medhub-local fetch chdb`, or set MEDHUB_LIBCHDB to the libchdb.so of the npm package \
         @chdb/lib-linux-x64-gnu",
        path.display()
    );
    path
}

/// `/var/cache/medhub` for root, below the home folder for others.
fn usual_cache() -> PathBuf {
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        return PathBuf::from("/var/cache/medhub");
    }
    let home = || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache");
    env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("medhub")
}

/// The body of the child process.
pub(crate) fn run_if_asked() {
    let Some(folder) = env::var_os(FOLDER) else { return };
    thread::spawn(|| {
        // The parent holds the other end: when it is gone, so is the engine.
        std::io::stdin().read_to_end(&mut Vec::new()).ok();
        std::process::exit(3);
    });
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(serve(Path::new(&folder))).unwrap();
}

async fn serve(folder: &Path) -> Result<(), EngineError> {
    let shutdown = CancellationToken::new();
    let cancel = shutdown.clone();
    let mut terminated = signal(SignalKind::terminate()).unwrap();
    tokio::spawn(async move {
        terminated.recv().await;
        cancel.cancel();
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Renamed into place, so that it is never read half written.
    fs::write(folder.join("address.new"), address.to_string()).unwrap();
    fs::rename(folder.join("address.new"), folder.join("address")).unwrap();
    let config = clickhouse::Config {
        password: "secret".into(),
        max_body_bytes: 64 << 20,
        ..clickhouse::Config::new(address, folder.join("clickhouse"), libchdb())
    };
    clickhouse::serve_on(listener, config, shutdown).await
}

fn tail(folder: &Path) -> String {
    let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
    log.lines().rev().take(20).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
}
