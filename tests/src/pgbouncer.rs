//! `PgBouncer` between clients and Postgres: the machine's program, or a newer one, with its settings as they are installed but
//! for the mode, the number of sessions, which in session mode has to suffice for all connections of a product, and whether it
//! keeps prepared statements.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use sqlx::{Connection as _, PgConnection};
use url::Url;

use crate::{
    blocking::run_blocking, eventually, failure::or_fail, free_port::find_free_port, guarded_child,
    test_folder::TestFolder,
};

/// When a client gives its session back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// When it disconnects.
    Session,
    /// At the end of each transaction.
    Transaction,
    /// At the end of each statement.
    Statement,
}

/// The first release whose clients' prepared statements may follow them.
const FIRST_KEEPING_STATEMENTS: (u32, u32) = (1, 21);

/// How many prepared statements of each client then follow it.
const KEPT_STATEMENTS: u32 = 200;

/// A running pooler; it ends when it is dropped.
#[derive(Debug)]
pub struct PgBouncer {
    url: String,
    child: Child,
    _folder: TestFolder,
}

impl PgBouncer {
    /// Starts one in front of the database at `url`, which asks for no password. It keeps no prepared statements.
    ///
    /// # Panics
    /// If the program is not installed (Debian: `apt-get install pgbouncer`) or does not start.
    pub async fn start(url: &str, mode: PoolMode) -> Self {
        let program = PathBuf::from(find_program());
        let kept = (read_release(&program) >= FIRST_KEEPING_STATEMENTS).then_some(0);
        Self::start_program(&program, url, mode, kept).await
    }

    /// Starts one in transaction mode whose clients' prepared statements follow them to other sessions.
    ///
    /// # Panics
    /// If neither the installed one does that nor a newer one can be fetched, or it does not start.
    pub async fn start_keeping_statements(url: &str) -> Self {
        let installed = PathBuf::from(find_program());
        let program =
            if read_release(&installed) >= FIRST_KEEPING_STATEMENTS { installed } else { fetch_newer().await };
        Self::start_program(&program, url, PoolMode::Transaction, Some(KEPT_STATEMENTS)).await
    }

    async fn start_program(program: &Path, url: &str, mode: PoolMode, kept_statements: Option<u32>) -> Self {
        let server = or_fail(Url::parse(url), "reading the database's URL");
        let (folder, port) = (TestFolder::new(), or_fail(find_free_port(), "finding a port"));
        let settings = folder.path().join("pgbouncer.ini");
        or_fail(
            fs::write(&settings, settings_text(&server, port, mode, kept_statements)),
            "writing the pooler's settings",
        );
        let log = or_fail(File::create(folder.path().join("pgbouncer.log")), "creating the pooler's log");
        // It refuses to run as root. A process that changes its user forgets with whom it was to end.
        let mut command = if nix::unistd::geteuid().is_root() {
            let mut command = guarded_child::command("setpriv");
            command.args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--pdeathsig", "KILL"]);
            command.arg(program);
            command
        } else {
            guarded_child::command(program)
        };
        command.arg(&settings).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = or_fail(guarded_child::spawn_guarded(command), "starting PgBouncer");
        let mut url = server;
        or_fail(url.set_port(Some(port)).map_err(|()| "no port"), "changing the port");
        let pooler = Self { url: url.into(), child, _folder: folder };
        eventually(async || {
            let options: sqlx::postgres::PgConnectOptions = pooler.url.parse()?;
            PgConnection::connect_with(&options.extra_float_digits(None)).await?.close().await
        })
        .await;
        pooler
    }

    /// The URL of the database through the pooler.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        let (_ended, _reaped) = (self.child.kill(), self.child.wait());
    }
}

/// Debian's package installs it for administrators only.
fn find_program() -> &'static str {
    let is_on_path = Command::new("pgbouncer").arg("--version").output().is_ok();
    if is_on_path { "pgbouncer" } else { "/usr/sbin/pgbouncer" }
}

/// Major and minor number of a program.
fn read_release(program: &Path) -> (u32, u32) {
    let output = or_fail(Command::new(program).arg("--version").output(), "asking PgBouncer for its version");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text.trim_start_matches(|character: char| !character.is_ascii_digit()).split('.');
    let mut number = || numbers.next().and_then(|number| number.parse().ok());
    (number().unwrap_or_default(), number().unwrap_or_default())
}

/// A newer program than Debian 12 has. It is fetched once for all runs.
async fn fetch_newer() -> PathBuf {
    let folder = medhub_local::folder::default_cache_folder().join("pgbouncer");
    let program = folder.join("pgbouncer");
    let mut fetch = Command::new("sh");
    fetch.args(["-c", include_str!("pgbouncer/fetch.sh"), "fetch.sh"]).arg(&folder);
    let output = or_fail(run_blocking(move || fetch.output()).await, "fetching PgBouncer");
    assert!(output.status.success(), "fetching PgBouncer: {}", String::from_utf8_lossy(&output.stderr));
    program
}

fn settings_text(server: &Url, port: u16, mode: PoolMode, kept_statements: Option<u32>) -> String {
    let (host, user) = (server.host_str().unwrap_or("127.0.0.1"), server.username());
    let server_port = server.port().unwrap_or(5432);
    let mode = match mode {
        PoolMode::Session => "session",
        PoolMode::Transaction => "transaction",
        PoolMode::Statement => "statement",
    };
    // Releases that keep none do not know the setting.
    let kept = kept_statements.map(|kept| format!("max_prepared_statements = {kept}\n")).unwrap_or_default();
    format!(
        "[databases]\n* = host={host} port={server_port} user={user}\n\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
         listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\ndefault_pool_size = 60\n{kept}"
    )
}
