//! A test's own registry: a process of the product in the role `registry`, on its own database.

use std::process::Stdio;

use reqwest::Method;
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};
use tests::{TestNamespace, WAIT_TIMEOUT, empty_database, medhub_local};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

/// Runs a statement in a database.
pub(super) async fn run_statement(database: &str, statement: &str) {
    let mut connection = PgConnection::connect(database).await.unwrap();
    sqlx::query(statement).execute(&mut connection).await.unwrap();
}

/// The login that may register schemas.
pub(super) const LOGIN: &str = "medhub:a-password-of-tests";

/// The operators' token.
const OPERATOR_TOKEN: &str = "operator-of-the-tests";

/// A running registry, which ends with the test.
pub(super) struct RegistryProcess {
    pub(super) api: RegistryApi,
    namespace: TestNamespace,
    database: String,
    child: Child,
}

impl RegistryProcess {
    /// Starts a registry on an empty database.
    pub(super) async fn start() -> Self {
        let namespace = TestNamespace::new();
        let database = empty_database(&namespace).await;
        Self::start_on(namespace, database).await
    }

    /// Starts a registry on the database of a namespace, which other processes may serve too.
    pub(super) async fn start_on(namespace: TestNamespace, database: String) -> Self {
        Self::start_with(namespace, database, &[]).await
    }

    /// [`Self::start_on`] with more settings; an empty value removes one.
    pub(super) async fn start_with(namespace: TestNamespace, database: String, more: &[(&str, &str)]) -> Self {
        let more = more.iter().copied();
        let mut command = Command::new(medhub_local());
        command.args(["product", "serve", "--role", "registry"]).stdin(Stdio::null()).stdout(Stdio::null());
        command.env("DATABASE_URL", &database).env("MEDHUB__HTTP__LISTEN", "127.0.0.1:0");
        command.env("MEDHUB__REGISTRY__LOGIN", LOGIN).env("MEDHUB__ADMIN__TOKEN", OPERATOR_TOKEN);
        command.envs(more);
        command.env("MEDHUB__LOG__FORMAT", "json").env_remove("MEDHUB__LOG__FILTER");
        command.stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let listening = async {
            let mut log_lines = Vec::new();
            while let Some(line) = log.next_line().await.unwrap() {
                let entry: Value = serde_json::from_str(&line).unwrap_or_default();
                if let Some(address) = entry["address"].as_str() {
                    return address.to_owned();
                }
                log_lines.push(line);
            }
            panic!("the registry ended: {log_lines:#?}")
        };
        let address = tokio::time::timeout(WAIT_TIMEOUT, listening).await.expect("the registry listens in time");
        // The process would block on a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        Self {
            api: RegistryApi::new(format!("http://operator:{OPERATOR_TOKEN}@{address}")),
            namespace,
            database,
            child,
        }
    }

    /// Starts another registry on the same database.
    pub(super) async fn start_second(&self) -> Self {
        Self::start_on(self.namespace.clone(), self.database.clone()).await
    }

    pub(super) fn namespace(&self) -> &TestNamespace {
        &self.namespace
    }

    pub(super) fn database(&self) -> &str {
        &self.database
    }

    /// Kills the process, and starts another on the same database.
    pub(super) async fn kill9_and_restart(mut self) -> Self {
        self.child.kill().await.unwrap();
        Self::start_on(self.namespace, self.database).await
    }
}

/// A plain HTTP client of Confluent's API.
#[derive(Debug, Clone)]
pub(super) struct RegistryApi {
    pub(super) url: String,
    client: reqwest::Client,
}

impl RegistryApi {
    pub(super) fn new(url: String) -> Self {
        Self { url, client: tests::new_http_client() }
    }

    /// A client of the same registry with another login, or without one.
    pub(super) fn with_login(&self, login: Option<&str>) -> Self {
        let (_, address) = self.url.rsplit_once('@').unwrap();
        Self::new(login.map_or_else(|| format!("http://{address}"), |login| format!("http://{login}@{address}")))
    }

    /// Sends a request, whose body has the content type that Confluent's own clients use.
    pub(super) async fn send_request(&self, method: Method, path: &str, body: Option<Value>) -> reqwest::Response {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.header("content-type", "application/vnd.schemaregistry.v1+json").body(body.to_string());
        }
        request.send().await.unwrap()
    }

    async fn send_json(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let response = self.send_request(method, path, body).await;
        let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        assert_eq!(content_type, "application/vnd.schemaregistry.v1+json", "{path}");
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        self.send_json(Method::GET, path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.send_json(Method::POST, path, Some(body)).await
    }

    pub(super) async fn put(&self, path: &str, body: Value) -> (u16, Value) {
        self.send_json(Method::PUT, path, Some(body)).await
    }

    pub(super) async fn delete(&self, path: &str) -> (u16, Value) {
        self.send_json(Method::DELETE, path, None).await
    }

    /// Registers a schema and returns its id.
    pub(super) async fn register(&self, subject: &str, schema: &str) -> i64 {
        let (status, answer) = self.post(&format!("/subjects/{subject}/versions"), super::schema_body(schema)).await;
        assert_eq!(status, 200, "{answer}");
        answer["id"].as_i64().unwrap()
    }
}
