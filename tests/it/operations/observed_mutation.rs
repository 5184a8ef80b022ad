//! A mutation in a separate process, which writes its log as JSON and sends traces, metrics and log to a collector.

use std::fs;

use reqwest::Client;
use tempfile::TempDir;
use tests::{ProductEdge, ProductProcess, SignedInUser, TelemetryCollector, unique_name};
use uuid::Uuid;

use super::*;

/// The log as JSON, with the lines about a request.
const LOG_SETTINGS: [(&str, &str); 2] =
    [("MEDHUB__LOG__FORMAT", "json"), ("MEDHUB__LOG__FILTER", "info,api=debug,commands=debug,eventstore=debug")];

/// The mutation, its process, and what it must not tell.
pub(super) struct ObservedMutation {
    pub(super) collector: TelemetryCollector,
    pub(super) correlation: String,
    pub(super) tenant: String,
    /// Texts that are about people or belong to the tenant.
    pub(super) personal_data: [String; 3],
    /// Where the process serves HTTP.
    pub(super) address: String,
    api: ProductProcess,
    folder: TempDir,
}

impl ObservedMutation {
    /// Starts the process with these settings, too, and sends the mutation.
    pub(super) async fn send(settings: &[(&str, &str)]) -> Self {
        let product = shared_product().await;
        let (user, tenant) = (format!("{}@example.com", unique_name("ann")), unique_name("clinic"));
        let member = SignedInUser::register_company(product, &user, &tenant).await;
        let collector = TelemetryCollector::start().await;
        let folder = tempfile::tempdir().unwrap();
        let own = LOG_SETTINGS.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let variables = product.variables().clone().into_iter().chain(collector.variables()).chain(own).collect();
        let mut api = ProductProcess::start(&variables, folder.path(), "api", &["serve", "--role", "api"]).unwrap();
        let address = api.wait_for_address(ProductEdge::Http).await.unwrap();

        let (correlation, title) = (Uuid::new_v4().to_string(), unique_name("secret title"));
        let document = "mutation($title: String!) { outcome: createResource(
            input: { name: $title, kind: BOILERPLATE, body: \"Our policy\" }) {
            ... on Accepted { version } ... on Rejected { rule } } }";
        let request = Client::new()
            .post(format!("http://{address}/graphql"))
            .bearer_auth(&member.token)
            .header("x-correlation-id", &correlation)
            .json(&json!({ "query": document, "variables": { "title": title } }));
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert!(!answer["data"]["outcome"]["version"].is_null(), "{answer}");
        let personal_data = [user, title, member.token];
        Self { collector, correlation, tenant, personal_data, address, api, folder }
    }

    /// Stops the process and returns its log: what was written before it has ended is complete.
    pub(super) async fn stop(&mut self) -> String {
        self.api.stop().await.unwrap();
        fs::read_to_string(self.folder.path().join("api.log")).unwrap()
    }

    /// The lines of a log.
    pub(super) fn lines(log: &str) -> Vec<Value> {
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
    }
}
