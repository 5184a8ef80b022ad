//! The `ClickHouse` client of the database of one generation.

use std::{future::Future, time::Duration};

use clickhouse::{Client, Compression};
use engine_security::{EngineTlsConfig, setting_variable};
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use tracing::Instrument;
use url::Url;

use super::{
    ClickHouseConfig,
    errors::{classify_error, unavailable_error},
    table_placement::{TableCluster, TablePlacement, read_distributed_cluster},
};
use crate::{QueryError, runtime::ProjectionError, storage::StorageProblem};

/// The longest time of a query in the server, in whole seconds; 0 is no limit, for a query whose rows are read for as long as
/// they come.
pub(crate) const TIME_LIMIT_SETTING: &str = "max_execution_time";

/// A client of one server and of one of its databases.
#[derive(Clone)]
pub(crate) struct ClickHouseClient {
    pub(super) server: Client,
    pub(super) client: Client,
    reader: Client,
    pub(super) database: String,
    timeout: Duration,
    /// The cluster of new tables; `None` for one server.
    cluster: Option<TableCluster>,
    /// Name of the read model in errors, as `medhub rebuild` takes it.
    read_model: &'static str,
}

impl ClickHouseClient {
    /// Creates a client without a database; it connects at the first statement.
    pub(crate) fn new(config: &ClickHouseConfig, read_model: &'static str) -> Result<Self, QueryError> {
        let mut server = build_client(&config.url, &config.tls)?;
        for (name, value) in config.cluster_query_settings() {
            server = server.with_setting(name, value);
        }
        let timeout = config.timeout();
        Ok(Self {
            client: server.clone(),
            reader: limit_queries(server.clone(), timeout),
            server,
            database: String::new(),
            timeout,
            cluster: config.table_cluster(),
            read_model,
        })
    }

    /// The same client with another database.
    pub(crate) fn with_database(&self, database: String) -> Self {
        let (client, reader) = (self.server.clone(), limit_queries(self.server.clone(), self.timeout));
        Self {
            client: client.with_database(&database),
            reader: reader.with_database(&database),
            database,
            ..self.clone()
        }
    }

    /// The client without a database.
    pub(crate) fn server(&self) -> &Client {
        &self.server
    }

    /// The client of the database, for what writes.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The client of the database for queries: the server ends one that takes longer than the timeout, or whose caller has
    /// given up.
    pub(crate) fn reader(&self) -> &Client {
        &self.reader
    }

    pub(crate) fn database(&self) -> &str {
        &self.database
    }

    /// The cluster of new tables; `None` for one server.
    pub(crate) fn cluster(&self) -> Option<&TableCluster> {
        self.cluster.as_ref()
    }

    /// Where the tables of this database are: an existing database stays where it was created, even if the settings
    /// have changed. `table` is one that every such database has.
    pub(crate) async fn load_placement(&self, table: &str) -> Result<TablePlacement, QueryError> {
        let engine = self.load_engine(table).await?;
        let existing = engine.as_deref().map(read_distributed_cluster);
        match (existing, &self.cluster) {
            (Some(None), _) | (None, None) => Ok(TablePlacement::SingleServer),
            (None, Some(cluster)) => self.load_placement_on_servers(cluster, table).await,
            (Some(Some(name)), Some(cluster)) => {
                Ok(TablePlacement::Cluster(TableCluster { name: name.to_owned(), ..cluster.clone() }))
            }
            (Some(Some(name)), None) => {
                let (database, name) = (self.database.clone(), name.to_owned());
                Err(unavailable_error(UnnamedCluster { database, name }))
            }
        }
    }

    /// Where the tables are that the server which was asked does not have.
    async fn load_placement_on_servers(
        &self,
        cluster: &TableCluster,
        table: &str,
    ) -> Result<TablePlacement, QueryError> {
        let engines = self.load_engines_on_servers(cluster, &self.database).await?;
        match engines.iter().find(|found| found.name == table).map(|found| read_distributed_cluster(&found.engine_full))
        {
            None => Ok(TablePlacement::Cluster(cluster.clone())),
            Some(Some(name)) => Ok(TablePlacement::Cluster(TableCluster { name: name.to_owned(), ..cluster.clone() })),
            Some(None) => Err(unavailable_error(TablesOnAnotherServer { database: self.database.clone() })),
        }
    }

    /// The problem that the tables of this database are on a cluster which the settings do not name: writes would not wait for
    /// its shards. `table` is one that every such database has.
    pub(crate) async fn find_unnamed_cluster(&self, table: &str) -> Result<Option<StorageProblem>, QueryError> {
        if self.cluster.is_some() {
            return Ok(None);
        }
        let engine = self.load_engine(table).await?;
        Ok(engine.as_deref().and_then(read_distributed_cluster).map(|name| {
            let (database, name) = (self.database.clone(), name.to_owned());
            StorageProblem { text: UnnamedCluster { database, name }.to_string(), harmful: true }
        }))
    }

    /// The engine of a table of this database, with its arguments; `None` if there is no such table.
    async fn load_engine(&self, table: &str) -> Result<Option<String>, QueryError> {
        let query = self.server.query("select engine_full from system.tables where database = ? and name = ?");
        self.run_statement(query.bind(&self.database).bind(table).fetch_optional()).await
    }

    /// Longest wait for one statement.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Runs a statement; fails when it takes longer than the timeout.
    pub(crate) async fn run_statement<T>(
        &self,
        statement: impl Future<Output = Result<T, clickhouse::error::Error>>,
    ) -> Result<T, QueryError> {
        let statement = statement.instrument(telemetry::store_span("clickhouse", "run statement"));
        match tokio::time::timeout(self.timeout, statement).await {
            Ok(outcome) => outcome.map_err(unavailable_error),
            Err(elapsed) => Err(unavailable_error(elapsed)),
        }
    }

    /// Classifies an error of an insert; its variant decides whether the worker retries or parks the event.
    pub(crate) fn classify_error(&self, error: clickhouse::error::Error) -> ProjectionError {
        classify_error(error, self.read_model)
    }
}

/// The settings name no cluster, and the tables are on one.
#[derive(Debug, thiserror::Error)]
#[error("the tables of {database} are on the cluster `{name}`; set {} to it", setting_variable("clickhouse.cluster"))]
struct UnnamedCluster {
    database: String,
    name: String,
}

/// One server of the cluster has the tables for itself, and another one was asked.
#[derive(Debug, thiserror::Error)]
#[error(
    "the tables of {database} are on one server of the cluster, and another one was asked: CLICKHOUSE_URL has to lead to that \
     server until the tables are rebuilt on the cluster"
)]
struct TablesOnAnotherServer {
    database: String,
}

/// Creates a client. User and password move from the URL to client settings, which are never printed.
fn build_client(url: &str, tls: &EngineTlsConfig) -> Result<Client, QueryError> {
    let mut url = Url::parse(url).map_err(unavailable_error)?;
    let client = if url.scheme() == "https" { build_tls_client(tls)? } else { Client::default() };
    let mut client = client.with_compression(Compression::None);
    if !url.username().is_empty() {
        client = client.with_user(percent_decode(url.username()));
    }
    if let Some(password) = url.password() {
        client = client.with_password(percent_decode(password));
    }
    // Both setters fail only for URLs that cannot have a user; such a URL has no host to connect to.
    let cleared = url.set_username("").and_then(|()| url.set_password(None));
    cleared.map_err(|()| unavailable_error("the URL has no host"))?;
    Ok(client.with_url(url))
}

/// Lets the server end queries: after the longest wait for one, and when the connection is closed before. Otherwise
/// they would continue although no caller waits for the result.
fn limit_queries(client: Client, timeout: Duration) -> Client {
    client
        .with_setting(TIME_LIMIT_SETTING, timeout.as_secs_f64().ceil().to_string())
        // Whatever the user's profile says: a part of an answer is none.
        .with_setting("timeout_overflow_mode", "throw")
        // Only of queries that the server knows to change nothing.
        .with_setting("readonly", "2")
        .with_setting("cancel_http_readonly_queries_on_client_close", "1")
}

/// How long an idle connection is kept: less than the 3 s until a server closes it by default.
const IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// Creates a client whose connections use TLS. Its connections live as long as the default client's.
fn build_tls_client(tls: &EngineTlsConfig) -> Result<Client, QueryError> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_keepalive(Some(Duration::from_mins(1)));
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls.client_config().map_err(unavailable_error)?)
        .https_only()
        .enable_http1()
        .wrap_connector(tcp);
    let http = HttpClient::builder(TokioExecutor::new()).pool_idle_timeout(IDLE_TIMEOUT).build(connector);
    Ok(Client::with_http_client(http))
}

fn percent_decode(part: &str) -> String {
    // The form decoder reads a plus sign as a space; in user and password it is a plus sign.
    let pair = format!("v={}", part.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(pair.as_bytes()).map(|(_, value)| value.into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    #[test]
    fn a_password_may_contain_any_character() {
        assert_eq!(percent_decode("p%40s+s%2F%26w&%C3%BC"), "p@s+s/&w&ü");
    }

    #[tokio::test]
    async fn queries_tell_the_server_when_to_end_them_and_what_writes_does_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let config = ClickHouseConfig { url, timeout_ms: 1_500, ..ClickHouseConfig::default() };
        let client = ClickHouseClient::new(&config, "test").unwrap().with_database("db".to_owned());
        let read_request = async || {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await.unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        };

        let (request, _) = tokio::join!(read_request(), client.reader().query("select 1").execute());
        for setting in ["max_execution_time=2", "readonly=2", "cancel_http_readonly_queries_on_client_close=1"] {
            assert!(request.contains(setting), "{request}");
        }
        let (request, _) = tokio::join!(read_request(), client.client().query("drop table t").execute());
        assert!(request.contains("database=db") && !request.contains("readonly"), "{request}");
    }

    #[test]
    fn an_invalid_url_is_refused() {
        for url in ["", "localhost", "mailto:a"] {
            assert!(build_client(url, &EngineTlsConfig::default()).is_err(), "{url}");
        }
    }
}
