//! Runs an engine in a child process: this test program, with an environment variable that makes it the engine.

use std::{
    env, fs,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use medhub_engines::{EngineError, clickhouse};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::child_process::ChildProcess;

const FOLDER_VARIABLE: &str = "MEDHUB_TEST_FOLDER";

/// Starts the engine on a folder and waits until it listens.
pub(crate) async fn start_engine(folder: &Path) -> ChildProcess {
    // Fails here, with a clear message, if the library is missing.
    libchdb_path();
    let address_file = folder.join("address");
    fs::remove_file(&address_file).ok();
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "engine_process", "--nocapture"]).env(FOLDER_VARIABLE, folder);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let find_address = || fs::read_to_string(&address_file).ok()?.trim().parse().ok();
    ChildProcess::start(command, folder, find_address).await
}

/// The library that `medhub-local fetch` fetches, unless `MEDHUB_LIBCHDB` names another one.
pub(crate) fn libchdb_path() -> PathBuf {
    if let Some(path) = env::var_os("MEDHUB_LIBCHDB") {
        return PathBuf::from(path);
    }
    let path = env::var_os("MEDHUB_CACHE_DIR").map_or_else(default_cache_folder, PathBuf::from).join("chdb/libchdb.so");
    // `cargo test --workspace` builds the program beside this test's executable.
    let program = env::current_exe().unwrap().ancestors().nth(2).unwrap().join("medhub-local");
    if !path.exists() && program.exists() {
        let status = Command::new(program).args(["fetch", "chdb"]).status().unwrap();
        assert!(status.success(), "`medhub-local fetch chdb` ended with {status}");
    }
    assert!(
        path.exists(),
        "{} does not exist: run `medhub-local fetch chdb`, or set MEDHUB_LIBCHDB to the libchdb.so of the npm package \
         @chdb/lib-linux-x64-gnu",
        path.display()
    );
    path
}

/// `/var/cache/medhub` for root, a folder below the home folder for others.
fn default_cache_folder() -> PathBuf {
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        return PathBuf::from("/var/cache/medhub");
    }
    let home = || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache");
    env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("medhub")
}

/// Runs the engine if this is the child process.
pub(crate) fn run_in_child() {
    let Some(folder) = env::var_os(FOLDER_VARIABLE) else { return };
    thread::spawn(|| {
        // The parent has the other end: the engine ends when the parent does.
        std::io::stdin().read_to_end(&mut Vec::new()).ok();
        std::process::exit(3);
    });
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(serve_until_terminated(Path::new(&folder))).unwrap();
}

async fn serve_until_terminated(folder: &Path) -> Result<(), EngineError> {
    let shutdown = CancellationToken::new();
    let cancel = shutdown.clone();
    let mut terminated = signal(SignalKind::terminate()).unwrap();
    tokio::spawn(async move {
        terminated.recv().await;
        cancel.cancel();
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Renamed, so that a partly written file is never read.
    fs::write(folder.join("address.new"), address.to_string()).unwrap();
    fs::rename(folder.join("address.new"), folder.join("address")).unwrap();
    let config = clickhouse::ClickHouseServerConfig {
        password: "secret".into(),
        max_body_bytes: 64 << 20,
        ..clickhouse::ClickHouseServerConfig::new(address, folder.join("clickhouse"), libchdb_path())
    };
    clickhouse::serve_on(listener, config, shutdown).await
}
