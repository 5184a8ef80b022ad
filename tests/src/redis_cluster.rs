//! A `Redis` server in cluster mode. It serves all slots alone, and refuses commands and scripts whose keys are in several
//! slots, which a server without cluster mode accepts.

use std::{
    net::TcpListener,
    process::{Child, Stdio},
    thread,
};

use anyhow::Context as _;
use redis::aio::MultiplexedConnection;

use crate::{engines, eventually, failure::or_fail, guarded_child, test_folder::TestFolder};

/// Slots of a cluster.
const SLOTS: u16 = 16_384;

/// The port of the cluster's bus is the server's port plus this.
const BUS_PORT_OFFSET: u16 = 10_000;

/// A running server; it ends when it is dropped.
#[derive(Debug)]
pub struct RedisCluster {
    url: String,
    child: Child,
    _folder: TestFolder,
}

impl RedisCluster {
    /// Starts the server with the program of the shared engines.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start() -> Self {
        let program = or_fail(
            server_program(engines().await.variable("REDIS_URL")).await,
            "finding the program of the shared Redis",
        );
        let (folder, port) = (TestFolder::new(), or_fail(free_port(), "finding a port"));
        let mut command = guarded_child::command(&program);
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--cluster-enabled", "yes", "--save", ""]);
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = or_fail(guarded_child::spawn_guarded(command), "starting Redis");
        let server = Self { url: format!("redis://127.0.0.1:{port}"), child, _folder: folder };
        let mut connection = eventually(async || server.connect().await).await;
        let slots: Vec<u16> = (0..SLOTS).collect();
        let added = redis::cmd("CLUSTER").arg("ADDSLOTS").arg(slots).exec_async(&mut connection).await;
        or_fail(added, "assigning the slots");
        eventually(async || {
            let info: String = redis::cmd("CLUSTER").arg("INFO").query_async(&mut connection.clone()).await?;
            anyhow::ensure!(info.contains("cluster_state:ok"), "{info}");
            Ok(())
        })
        .await;
        server
    }

    /// The address of the server.
    pub fn url(&self) -> &str {
        &self.url
    }

    async fn connect(&self) -> redis::RedisResult<MultiplexedConnection> {
        redis::Client::open(self.url.as_str())?.get_multiplexed_async_connection().await
    }
}

impl Drop for RedisCluster {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        let (_ended, _reaped) = (self.child.kill(), self.child.wait());
    }
}

/// The program of the server at `url`, as that server names it.
pub(crate) async fn server_program(url: &str) -> anyhow::Result<String> {
    let client = redis::Client::open(url)?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let info: String = redis::cmd("INFO").arg("server").query_async(&mut connection).await?;
    let line = info.lines().find_map(|line| line.strip_prefix("executable:"));
    line.map(|program| program.trim().to_owned()).context("the server does not name its program")
}

/// A free port whose bus port is free, too.
fn free_port() -> anyhow::Result<u16> {
    for _ in 0..100 {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let bus = port.checked_add(BUS_PORT_OFFSET);
        if bus.is_some_and(|bus| TcpListener::bind(("127.0.0.1", bus)).is_ok()) {
            return Ok(port);
        }
        thread::yield_now();
    }
    anyhow::bail!("no free port has a free bus port")
}
