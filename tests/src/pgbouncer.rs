//! `PgBouncer` between clients and Postgres: the machine's program, with its settings as they are installed but for the
//! mode and the number of sessions, which in session mode has to suffice for all connections of a product.

use std::{
    fs::{self, File},
    process::{Child, Command, Stdio},
};

use sqlx::{Connection as _, PgConnection};
use url::Url;

use crate::{eventually, failure::or_fail, free_port::find_free_port, guarded_child, test_folder::TestFolder};

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

/// A running pooler; it ends when it is dropped.
#[derive(Debug)]
pub struct PgBouncer {
    url: String,
    child: Child,
    _folder: TestFolder,
}

impl PgBouncer {
    /// Starts one in front of the database at `url`, which asks for no password.
    ///
    /// # Panics
    /// If the program is not installed (Debian: `apt-get install pgbouncer`) or does not start.
    pub async fn start(url: &str, mode: PoolMode) -> Self {
        let server = or_fail(Url::parse(url), "reading the database's URL");
        let (folder, port) = (TestFolder::new(), or_fail(find_free_port(), "finding a port"));
        let settings = folder.path().join("pgbouncer.ini");
        or_fail(fs::write(&settings, settings_text(&server, port, mode)), "writing the pooler's settings");
        let log = or_fail(File::create(folder.path().join("pgbouncer.log")), "creating the pooler's log");
        // It refuses to run as root. A process that changes its user forgets with whom it was to end.
        let mut command = if nix::unistd::geteuid().is_root() {
            let mut command = guarded_child::command("setpriv");
            command.args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--pdeathsig", "KILL"]);
            command.arg(find_program());
            command
        } else {
            guarded_child::command(find_program())
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

fn settings_text(server: &Url, port: u16, mode: PoolMode) -> String {
    let (host, user) = (server.host_str().unwrap_or("127.0.0.1"), server.username());
    let server_port = server.port().unwrap_or(5432);
    let mode = match mode {
        PoolMode::Session => "session",
        PoolMode::Transaction => "transaction",
        PoolMode::Statement => "statement",
    };
    format!(
        "[databases]\n* = host={host} port={server_port} user={user}\n\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
         listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\ndefault_pool_size = 60\n"
    )
}
