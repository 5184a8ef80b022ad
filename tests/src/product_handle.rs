//! The product as its clients use it: an address, an operator's token, and a command line with its settings.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

use crate::{blocking::run_blocking, failure::or_fail, medhub_local};

/// Address, settings and files of a running product, or of engines without one.
///
/// [`crate::TestStack`] and [`crate::ProductInstance`] dereference to it, so that a function that only calls the
/// product takes `&ProductHandle` and works with both.
#[derive(Debug)]
pub struct ProductHandle {
    http: Option<String>,
    variables: BTreeMap<String, String>,
    folder: PathBuf,
}

impl ProductHandle {
    pub(crate) fn new(http: Option<String>, variables: BTreeMap<String, String>, folder: PathBuf) -> Self {
        Self { http, variables, folder }
    }

    /// A folder for files of the test; it is removed with the stack or the instance.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The environment that makes a program use these engines and settings, such as `DATABASE_URL`.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// One of [`Self::variables`].
    ///
    /// # Panics
    /// If there is none of that name.
    pub fn variable(&self, name: &str) -> &str {
        let Some(value) = self.variables.get(name) else { panic!("{name} is not among the settings") };
        value
    }

    /// The base URL of the HTTP edge.
    ///
    /// # Panics
    /// If no product runs here.
    pub fn http(&self) -> &str {
        let Some(http) = &self.http else { panic!("these engines run without the product") };
        http
    }

    /// The bearer token of the product's operator.
    ///
    /// # Panics
    /// If no product runs here.
    pub fn operator_token(&self) -> &str {
        self.variable("MEDHUB__ADMIN__TOKEN")
    }

    /// A command of the product's command line with these settings, not started yet.
    pub fn medhub_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(medhub_local());
        command.arg("product").args(args).envs(&self.variables).stdin(Stdio::null());
        command
    }

    /// Runs a command of the product's command line to its end.
    ///
    /// # Panics
    /// If it cannot be started.
    pub async fn run_medhub(&self, args: &[&str]) -> Output {
        let mut command = self.medhub_command(args);
        run_blocking(move || or_fail(command.output(), "running medhub")).await
    }

    /// Sends a GraphQL query as the operator; the answer holds `data`, `errors` or both.
    ///
    /// # Panics
    /// If the product does not answer in JSON.
    pub async fn send_graphql(&self, query: &str, variables: Value) -> Value {
        self.send_graphql_as(Some(self.operator_token()), query, variables).await
    }

    /// Sends a GraphQL query with a bearer token, or without one.
    ///
    /// # Panics
    /// As [`Self::send_graphql`].
    pub async fn send_graphql_as(&self, token: Option<&str>, query: &str, variables: Value) -> Value {
        self.post_graphql(token, &json!({ "query": query, "variables": variables })).await
    }

    /// Sends a GraphQL query as the operator, with a consistency token.
    ///
    /// # Panics
    /// As [`Self::send_graphql`].
    pub async fn send_graphql_since(&self, consistency_token: &str, query: &str, variables: Value) -> Value {
        self.send_graphql_since_as(self.operator_token(), consistency_token, query, variables).await
    }

    /// [`Self::send_graphql_since`] with another bearer token.
    ///
    /// # Panics
    /// As [`Self::send_graphql`].
    pub async fn send_graphql_since_as(&self, token: &str, since: &str, query: &str, variables: Value) -> Value {
        let extensions = json!({ "consistencyToken": since });
        let body = json!({ "query": query, "variables": variables, "extensions": extensions });
        self.post_graphql(Some(token), &body).await
    }

    /// Runs a statement on ClickHouse and returns the response body.
    ///
    /// # Panics
    /// If ClickHouse refuses it.
    pub async fn query_clickhouse(&self, statement: &str) -> String {
        let request = crate::new_http_client().post(self.variable("CLICKHOUSE_URL")).body(statement.to_owned());
        let response = or_fail(request.send().await, "sending a statement to ClickHouse");
        let (status, body) = (response.status(), or_fail(response.text().await, "reading ClickHouse's response"));
        assert!(status.is_success(), "{statement}: {body}");
        body
    }

    async fn post_graphql(&self, token: Option<&str>, body: &Value) -> Value {
        let mut request = crate::new_http_client().post(format!("{}/graphql", self.http())).json(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        or_fail(or_fail(request.send().await, "sending a GraphQL request").json().await, "reading the GraphQL response")
    }
}
