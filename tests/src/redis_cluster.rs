//! A `Redis` Cluster: three primaries, each with a replica, that share the slots.

use std::{
    collections::HashMap,
    fs,
    net::TcpListener,
    ops::Range,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
};

use anyhow::Context as _;
use redis::{Client, ClientTlsConfig, FromRedisValue, TlsCertificates, aio::MultiplexedConnection};
use tokio_rustls::rustls::crypto::aws_lc_rs;

use crate::{
    engines, eventually,
    failure::or_fail,
    guarded_child,
    test_certificates::{CertificateAuthority, IssuedCertificate},
    test_folder::TestFolder,
};

/// Slots of a cluster.
const SLOTS: usize = 16_384;

/// Number of primaries, and of replicas.
const PRIMARIES: usize = 3;

/// The port of the cluster's bus is the server's port plus this.
const BUS_PORT_OFFSET: u16 = 10_000;

/// Settings of each server. One that was silent for a second has failed for the others.
const SETTINGS: &[&str] = &[
    "--bind",
    "127.0.0.1",
    "--save",
    "",
    "--cluster-enabled",
    "yes",
    "--cluster-node-timeout",
    "1000",
    "--repl-diskless-sync",
    "yes",
    "--repl-diskless-sync-delay",
    "0",
];

/// The running servers; they end when it is dropped.
#[derive(Debug)]
pub struct RedisCluster {
    program: String,
    tls: Option<ClusterTls>,
    /// The primaries, then the replica of each.
    servers: Vec<ClusterServer>,
    folder: TestFolder,
}

#[derive(Debug)]
struct ClusterServer {
    port: u16,
    child: Child,
    client: Client,
}

/// With what the servers connect to each other and accept clients.
#[derive(Debug)]
struct ClusterTls {
    authority: PathBuf,
    identity: IssuedCertificate,
}

/// A slot on its way from one primary to another, with half of its keys on each.
#[derive(Debug)]
pub struct MovingSlot {
    slot: String,
    /// A key of the slot.
    key: String,
    source: usize,
    target: usize,
}

impl RedisCluster {
    /// Starts the servers with the program of the shared engines, and makes a cluster of them.
    ///
    /// # Panics
    /// If they do not become one.
    pub async fn start() -> Self {
        let program = or_fail(
            server_program(engines().await.variable("REDIS_URL")).await,
            "finding the program of the shared Redis",
        );
        Self::start_servers(program, TestFolder::new(), None).await
    }

    /// [`Self::start`], with servers that accept and open only connections with TLS, and ask for a certificate that
    /// `authority` has signed. The program of the shared engines has no TLS, so it is that of the machine.
    ///
    /// # Panics
    /// If that is not installed (Debian: `apt-get install redis-tools`), or they do not become a cluster.
    pub async fn start_with_tls(authority: &CertificateAuthority) -> Self {
        // Fails only if there is one already.
        let _installed = aws_lc_rs::default_provider().install_default();
        let folder = TestFolder::new();
        let program = or_fail(link_installed_program(folder.path()), "finding Redis with TLS");
        let tls = ClusterTls { authority: authority.file().to_owned(), identity: authority.issue("redis-node") };
        Self::start_servers(program, folder, Some(tls)).await
    }

    async fn start_servers(program: String, folder: TestFolder, tls: Option<ClusterTls>) -> Self {
        let ports = or_fail(free_ports(2 * PRIMARIES), "finding ports");
        let launch =
            |port| or_fail(ClusterServer::launch(&program, folder.path(), port, tls.as_ref()), "starting Redis");
        let servers = ports.into_iter().map(launch).collect();
        let cluster = Self { program, tls, servers, folder };
        cluster.join_servers().await;
        cluster.assign_replicas().await;
        cluster
    }

    /// Where the product finds it: some of the servers.
    pub fn address(&self) -> String {
        let [first, second, third] = [0, 1, PRIMARIES].map(|index| self.servers[index].port);
        let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
        format!("{scheme}://127.0.0.1:{first},127.0.0.1:{second},127.0.0.1:{third}")
    }

    /// The address of one primary, as that of a server without a cluster.
    pub fn primary_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.servers[1].port)
    }

    /// Begins to move the slot of a key, as `redis-cli --cluster reshard` does. No primary may have failed before.
    ///
    /// # Panics
    /// If a server refuses it.
    pub async fn begin_moving(&self, key: &str) -> MovingSlot {
        let first = &self.servers[0];
        let slot: u16 = or_fail(first.query(&["CLUSTER", "KEYSLOT", key]).await, "asking for a slot");
        let is_of = |index: &usize| slot_range(*index).contains(&usize::from(slot));
        let source = or_fail((0..PRIMARIES).find(is_of).ok_or("none"), "looking for the slot's primary");
        let slot = slot.to_string();
        let target = (source + 1) % PRIMARIES;
        let [source_id, target_id] = [self.server_id(source).await, self.server_id(target).await];
        self.servers[target].command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source_id]).await;
        self.servers[source].command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target_id]).await;
        let moving = MovingSlot { slot, key: key.to_owned(), source, target };
        let keys = self.keys_to_move(&moving).await;
        assert!(keys.len() > 1, "slot {} has too few keys: {keys:?}", moving.slot);
        self.move_keys(&moving, &keys[..keys.len() / 2]).await;
        moving
    }

    /// Moves the rest of the slot, tells the primaries, and waits until all servers know.
    ///
    /// # Panics
    /// If a server refuses it.
    pub async fn finish_moving(&self, moving: &MovingSlot) {
        let target_id = self.server_id(moving.target).await;
        let keys = self.keys_to_move(moving).await;
        self.move_keys(moving, &keys).await;
        let others = (0..PRIMARIES).filter(|index| *index != moving.target);
        for index in [moving.target].into_iter().chain(others) {
            self.servers[index].command(&["CLUSTER", "SETSLOT", &moving.slot, "NODE", &target_id]).await;
        }
        let target = format!("127.0.0.1:{}", self.servers[moving.target].port);
        for server in self.servers.iter().filter(|server| server.port != self.servers[moving.target].port) {
            eventually(async || match server.query::<redis::Value>(&["GET", &moving.key]).await {
                Err(error) if error.redirect_node().is_some_and(|(node, _)| node == target) => Ok(()),
                answer => Err(format!("{answer:?}")),
            })
            .await;
        }
    }

    async fn server_id(&self, index: usize) -> String {
        or_fail(self.servers[index].query(&["CLUSTER", "MYID"]).await, "asking for a server's id")
    }

    async fn keys_to_move(&self, moving: &MovingSlot) -> Vec<String> {
        let asked = self.servers[moving.source].query(&["CLUSTER", "GETKEYSINSLOT", &moving.slot, "1000"]).await;
        or_fail(asked, "listing the keys of a slot")
    }

    async fn move_keys(&self, moving: &MovingSlot, keys: &[String]) {
        let port = self.servers[moving.target].port.to_string();
        for key in keys {
            self.servers[moving.source].command(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]).await;
        }
    }

    /// Kills a primary as a crash would, and waits until its replica has taken its place.
    ///
    /// # Panics
    /// If it does not.
    pub async fn fail_over(&mut self) {
        or_fail(self.servers[0].child.kill(), "killing a primary");
        or_fail(self.servers[0].child.wait(), "waiting for a primary's end");
        self.servers[PRIMARIES].wait_for("replication", "role", "master").await;
    }

    /// Starts the server again that [`Self::fail_over`] has killed: it becomes a replica.
    ///
    /// # Panics
    /// If it does not.
    pub async fn restart_failed(&mut self) {
        let port = self.servers[0].port;
        let launched = ClusterServer::launch(&self.program, self.folder.path(), port, self.tls.as_ref());
        self.servers[0] = or_fail(launched, "starting Redis");
        self.servers[0].wait_for("replication", "master_link_status", "up").await;
    }

    /// All keys.
    ///
    /// # Panics
    /// If a server does not answer.
    pub async fn list_keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = vec![];
        for server in &self.servers {
            if server.info("replication").await.get("role").map(String::as_str) == Some("master") {
                let found: Vec<String> = or_fail(server.query(&["KEYS", "*"]).await, "listing keys");
                keys.extend(found);
            }
        }
        keys
    }

    async fn join_servers(&self) {
        let first = &self.servers[0];
        for (index, server) in self.servers.iter().enumerate() {
            eventually(async || server.query::<String>(&["PING"]).await).await;
            // Otherwise servers would have to agree on epochs of their own first.
            server.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]).await;
            if index < PRIMARIES {
                let slots: Vec<String> = slot_range(index).map(|slot| slot.to_string()).collect();
                let arguments: Vec<_> =
                    ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str)).collect();
                server.command(&arguments).await;
            }
            if index > 0 {
                first.command(&["CLUSTER", "MEET", "127.0.0.1", &server.port.to_string()]).await;
            }
        }
        for server in &self.servers {
            server.wait_for_cluster("cluster_known_nodes", &self.servers.len().to_string()).await;
        }
    }

    async fn assign_replicas(&self) {
        let replicas = &self.servers[PRIMARIES..];
        for (primary, replica) in replicas.iter().enumerate() {
            let id = self.server_id(primary).await;
            eventually(async || replica.query::<String>(&["CLUSTER", "REPLICATE", &id]).await).await;
        }
        for server in &self.servers {
            server.wait_for_cluster("cluster_state", "ok").await;
            server.wait_for_cluster("cluster_size", &PRIMARIES.to_string()).await;
        }
        for replica in replicas {
            replica.wait_for("replication", "master_link_status", "up").await;
        }
    }
}

impl ClusterServer {
    fn launch(program: &str, parent: &Path, port: u16, tls: Option<&ClusterTls>) -> anyhow::Result<Self> {
        let folder = parent.join(port.to_string());
        fs::create_dir_all(&folder)?;
        let mut command = guarded_child::command(program);
        command.args(SETTINGS).current_dir(&folder);
        match tls {
            None => command.args(["--port", &port.to_string()]),
            Some(tls) => command.args(["--port", "0", "--tls-port", &port.to_string()]).args(tls.settings()),
        };
        let client = match tls {
            None => Client::open(format!("redis://127.0.0.1:{port}"))?,
            Some(tls) => Client::build_with_tls(format!("rediss://127.0.0.1:{port}"), tls.client_certificates()?)?,
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { port, child: guarded_child::spawn_guarded(command)?, client })
    }

    async fn query<T: FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<T> {
        let mut connection: MultiplexedConnection = self.client.get_multiplexed_async_connection().await?;
        let (name, arguments) = words.split_first().unwrap_or((&"PING", &[]));
        redis::cmd(name).arg(arguments).query_async(&mut connection).await
    }

    async fn command(&self, words: &[&str]) {
        let _answer: redis::Value = or_fail(self.query(words).await, "sending a command to a server of the cluster");
    }

    async fn info(&self, section: &str) -> HashMap<String, String> {
        parse_fields(&or_fail(self.query::<String>(&["INFO", section]).await, "asking a server"))
    }

    async fn wait_for(&self, section: &str, field: &str, value: &str) {
        self.wait_for_field(&["INFO", section], field, value).await;
    }

    async fn wait_for_cluster(&self, field: &str, value: &str) {
        self.wait_for_field(&["CLUSTER", "INFO"], field, value).await;
    }

    async fn wait_for_field(&self, words: &[&str], field: &str, value: &str) {
        eventually(async || {
            let fields = parse_fields(&self.query::<String>(words).await?);
            anyhow::ensure!(fields.get(field).map(String::as_str) == Some(value), "{field} in {fields:?}");
            Ok(())
        })
        .await;
    }
}

impl ClusterTls {
    fn settings(&self) -> Vec<String> {
        let files = [
            ("--tls-ca-cert-file", &self.authority),
            ("--tls-cert-file", &self.identity.certificate),
            ("--tls-key-file", &self.identity.key),
        ];
        let among_servers = ["--tls-cluster", "yes", "--tls-replication", "yes"].map(str::to_owned);
        let files = files.into_iter().flat_map(|(name, file)| [name.to_owned(), file.display().to_string()]);
        among_servers.into_iter().chain(files).collect()
    }

    fn client_certificates(&self) -> anyhow::Result<TlsCertificates> {
        let (client_cert, client_key) = (fs::read(&self.identity.certificate)?, fs::read(&self.identity.key)?);
        let client_tls = Some(ClientTlsConfig { client_cert, client_key });
        Ok(TlsCertificates { client_tls, root_cert: Some(fs::read(&self.authority)?) })
    }
}

impl Drop for ClusterServer {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        let (_ended, _reaped) = (self.child.kill(), self.child.wait());
    }
}

/// The slots of a primary, from the beginning.
fn slot_range(primary: usize) -> Range<usize> {
    SLOTS * primary / PRIMARIES..SLOTS * (primary + 1) / PRIMARIES
}

fn parse_fields(text: &str) -> HashMap<String, String> {
    let fields = text.lines().filter_map(|line| line.trim().split_once(':'));
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The program of the server at `url`, as that server names it.
pub(crate) async fn server_program(url: &str) -> anyhow::Result<String> {
    let client = Client::open(url)?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let info: String = redis::cmd("INFO").arg("server").query_async(&mut connection).await?;
    let line = info.lines().find_map(|line| line.strip_prefix("executable:"));
    line.map(|program| program.trim().to_owned()).context("the server does not name its program")
}

/// Links the machine's server into a folder. Debian has it in the package of its tools, where another of them has its name.
fn link_installed_program(folder: &Path) -> anyhow::Result<String> {
    let installed =
        ["/usr/bin/redis-server", "/usr/bin/redis-check-rdb"].into_iter().find(|path| Path::new(path).exists());
    let link = folder.join("redis-server");
    symlink(installed.context("Redis is not installed (Debian: `apt-get install redis-tools`)")?, &link)?;
    Ok(link.display().to_string())
}

/// Different free ports whose bus ports are free, too.
fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    let mut taken = vec![];
    for _ in 0..100 * count {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let bus = port.checked_add(BUS_PORT_OFFSET).map(|bus| TcpListener::bind(("127.0.0.1", bus)));
        if let Some(Ok(bus)) = bus {
            taken.push((port, listener, bus));
        }
        if taken.len() == count {
            return Ok(taken.into_iter().map(|(port, ..)| port).collect());
        }
        thread::yield_now();
    }
    anyhow::bail!("too few free ports have free bus ports")
}
