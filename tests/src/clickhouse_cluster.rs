//! The embedded engine of ClickHouse as a cluster: of one shard, or of two.
//!
//! The engine has clusters, macros and `Distributed` tables, and no server for other servers: it executes no statement
//! `on cluster`, and replicated tables take no rows. A proxy in front of it has the engine's parser check such a statement,
//! and has it executed as a server of the cluster would, without its replication. Both shards of two are the engine itself:
//! it inserts and queries once for each, and a filter shows each shard the rows that the sharding key gives it. Tokens of
//! inserts are left out there, since the second shard would take its rows for those of the first.

use std::{
    fs,
    process::{Child, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Context as _;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{Response, StatusCode, Uri},
};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    eventually, failure::or_fail, fetched_artifact::fetch_artifact, free_port::find_free_port, guarded_child,
    test_folder::TestFolder, test_turn::run_with_own_engines,
};

const CONFIGURATION: &str = include_str!("clickhouse_cluster/config.xml");

/// The tables that are written to, and the column that decides about the shard.
const SHARDING_COLUMNS: [(&str, &str); 7] = [
    ("events", "aggregate_id"),
    ("opportunities", "id"),
    ("awards", "opportunity_id"),
    ("engagement", "aggregate_id"),
    ("generation_requests", "aggregate_id"),
    ("generated_sections", "aggregate_id"),
    ("generation_results", "aggregate_id"),
];

/// Settings that the engine cannot follow: it does not listen, so that it cannot connect to itself either.
const LEFT_OUT: &str = "prefer_localhost_replica";

/// A running engine with a proxy for each cluster; they end when it is dropped.
#[derive(Debug)]
pub struct ClickHouseClusters {
    engine: Child,
    /// The engine itself, without a proxy.
    pub engine_url: String,
    /// The cluster of one shard.
    pub one: ClickHouseCluster,
    /// The cluster of two shards.
    pub two: ClickHouseCluster,
    _folder: TestFolder,
}

/// A cluster as the product sees it.
#[derive(Debug)]
pub struct ClickHouseCluster {
    /// Its name in `remote_servers`.
    pub name: &'static str,
    /// Where the product finds it.
    pub url: String,
    statements: ReceivedStatements,
    proxy: JoinHandle<()>,
}

type ReceivedStatements = Arc<Mutex<Vec<String>>>;

#[derive(Clone)]
struct ProxyState {
    engine: String,
    http: reqwest::Client,
    name: &'static str,
    shards: usize,
    statements: ReceivedStatements,
}

impl ClickHouseClusters {
    /// Starts the engine and the proxies.
    ///
    /// # Panics
    /// If one of them does not start.
    pub async fn start() -> Self {
        run_with_own_engines();
        let folder = TestFolder::new();
        let library = or_fail(tokio::task::spawn_blocking(|| fetch_artifact("chdb")).await, "fetching the engine");
        let library = or_fail(library, "fetching the engine").join("libchdb.so");
        let config_file = folder.path().join("config.xml");
        or_fail(fs::write(&config_file, CONFIGURATION), "writing the configuration");
        let address = format!("127.0.0.1:{}", or_fail(find_free_port(), "finding a port"));
        let mut command = guarded_child::command(crate::medhub_local());
        command.args(["engine", "clickhouse", "--listen", &address]).arg("--library").arg(library);
        command.arg("--folder").arg(folder.path().join("data")).arg("--config-file").arg(config_file);
        let log = or_fail(fs::File::create(folder.path().join("engine.log")), "creating the log");
        command.env("TZ", "UTC").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let engine = or_fail(guarded_child::spawn_guarded(command), "starting the engine");
        let address = format!("http://{address}/");
        eventually(async || {
            let answer = crate::new_http_client().post(&address).body("select 1").send().await?;
            answer.error_for_status()
        })
        .await;
        let (one, two) =
            tokio::join!(ClickHouseCluster::start(&address, "one", 1), ClickHouseCluster::start(&address, "two", 2));
        Self { engine, engine_url: address, one, two, _folder: folder }
    }
}

impl Drop for ClickHouseClusters {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        let (_ended, _reaped) = (self.engine.kill(), self.engine.wait());
    }
}

impl ClickHouseCluster {
    async fn start(engine: &str, name: &'static str, shards: usize) -> Self {
        let statements = ReceivedStatements::default();
        let (engine, http) = (engine.to_owned(), crate::new_http_client());
        let state = ProxyState { engine, http, name, shards, statements: Arc::clone(&statements) };
        let listener = or_fail(TcpListener::bind("127.0.0.1:0").await, "listening");
        let url = format!("http://{}", or_fail(listener.local_addr(), "listening"));
        let router = Router::new().fallback(answer_request).with_state(state);
        let proxy = tokio::spawn(async move { or_fail(axum::serve(listener, router).await, "serving the proxy") });
        Self { name, url, statements, proxy }
    }

    /// The statements `on cluster` so far, as the product has sent them; the engine's parser has accepted each of them.
    pub fn cluster_statements(&self) -> Vec<String> {
        lock(&self.statements).clone()
    }

    /// The lines and values of a query's answer.
    ///
    /// # Panics
    /// If the query fails.
    pub async fn rows(&self, database: &str, query: &str) -> Vec<Vec<String>> {
        let request = crate::new_http_client().post(format!("{}/?database={database}", self.url));
        let answer = or_fail(request.body(query.to_owned()).send().await, "querying the cluster");
        let (status, text) = (answer.status(), or_fail(answer.text().await, "querying the cluster"));
        assert!(status.is_success(), "{query}: {text}");
        text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
    }
}

impl Drop for ClickHouseCluster {
    fn drop(&mut self) {
        self.proxy.abort();
    }
}

fn lock(statements: &ReceivedStatements) -> MutexGuard<'_, Vec<String>> {
    statements.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ProxyState {
    async fn execute(
        &self,
        parameters: &[(String, String)],
        body: impl Into<reqwest::Body>,
    ) -> reqwest::Result<reqwest::Response> {
        let url = reqwest::Url::parse_with_params(&self.engine, parameters);
        self.http.post(or_fail(url, "writing an address")).body(body).send().await
    }

    async fn answer(&self, uri: &Uri, body: Bytes) -> anyhow::Result<reqwest::Response> {
        let mut parameters: Vec<(String, String)> =
            url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        parameters.retain(|(name, _)| name != LEFT_OUT);
        let is_insert = parameters.iter().any(|(name, _)| name == "query");
        if self.shards > 1 && is_insert {
            parameters.retain(|(name, _)| name != "insert_deduplication_token");
        } else if self.shards > 1 {
            // Not of an insert: there the filter would apply to what materialized views see of it.
            let database = parameters.iter().find(|(name, _)| name == "database").map(|(_, value)| value.clone());
            parameters.extend(database.map(|name| ("additional_table_filters".to_owned(), self.shard_filters(&name))));
        }
        if is_insert {
            return Ok(self.execute(&parameters, body).await?);
        }
        let sql = std::str::from_utf8(&body)?;
        let on_cluster = format!(" on cluster `{}`", self.name);
        if !sql.contains(&on_cluster) {
            // There is no Keeper: what is asked is whether it answers.
            let query = sql.replace("system.zookeeper where path = '/'", "system.one");
            return Ok(self.execute(&parameters, query).await?);
        }
        let parsed =
            self.execute(&[], format!("select formatQuery('{}')", sql.replace('\\', "\\\\").replace('\'', "\\'")));
        let parsed = parsed.await?;
        if !parsed.status().is_success() {
            return Ok(parsed);
        }
        lock(&self.statements).push(sql.to_owned());
        if sql.starts_with("system sync replica") {
            return Ok(parsed);
        }
        let sql = sql.replace(&on_cluster, "");
        let sql = if sql.starts_with("drop database") { sql.trim_end_matches(" sync") } else { &sql };
        Ok(self.execute(&parameters, without_replication(sql)).await?)
    }

    /// What shows each shard its own rows, in the tables of a generation's database or of the generations of an analysts' one.
    fn shard_filters(&self, database: &str) -> String {
        let databases = ["", "_g1", "_g2"].map(|generation| format!("{database}{generation}_shard"));
        let filters = databases.iter().flat_map(|database| {
            SHARDING_COLUMNS.map(|(table, column)| {
                format!("'{database}.{table}':'cityHash64({column}) % {} = shardNum() - 1'", self.shards)
            })
        });
        format!("{{{}}}", filters.collect::<Vec<_>>().join(","))
    }
}

/// The engine without what only a replicated one has: the path in Keeper and the name of the replica.
fn without_replication(sql: &str) -> String {
    let Some((before, engine)) = sql.split_once("engine = Replicated") else { return sql.to_owned() };
    let Some((name, (arguments, after))) =
        engine.split_once('(').and_then(|(name, rest)| Some((name, rest.split_once(")\n")?)))
    else {
        return sql.to_owned();
    };
    let own: Vec<_> = arguments.split(", ").skip(2).collect();
    format!("{before}engine = {name}({})\n{after}", own.join(", "))
}

async fn answer_request(State(state): State<ProxyState>, uri: Uri, body: Bytes) -> Response<Body> {
    let answered = async {
        let answer = state.answer(&uri, body).await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut response = Response::new(Body::from(answer.bytes().await.context("reading the engine's answer")?));
        *response.status_mut() = status;
        let own = headers.iter().filter(|(name, _)| name.as_str().starts_with("x-clickhouse"));
        response.headers_mut().extend(own.map(|(name, value)| (name.clone(), value.clone())));
        anyhow::Ok(response)
    };
    answered.await.unwrap_or_else(|error| {
        let mut response = Response::new(Body::from(format!("{error:#}")));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    })
}
