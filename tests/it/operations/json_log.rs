//! The log as JSON: whose request a line is about, and nothing about people.

use std::fs;

use reqwest::Client;
use tests::{ProductEdge, ProductProcess, SignedInUser, TelemetryCollector, unique_name};
use uuid::Uuid;

use super::*;

#[tokio::test]
async fn lines_about_a_request_name_its_correlation_tenant_and_trace_and_no_personal_data() {
    let product = shared_product().await;
    let (user, tenant) = (format!("{}@example.com", unique_name("ann")), unique_name("clinic"));
    let member = SignedInUser::register_company(product, &user, &tenant).await;
    let collector = TelemetryCollector::start().await;
    let folder = tempfile::tempdir().unwrap();
    let own =
        [("MEDHUB__LOG__FORMAT", "json"), ("MEDHUB__LOG__FILTER", "info,api=debug,commands=debug,eventstore=debug")];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
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
    assert!(answer["errors"].is_null(), "{answer}");
    // What was written before the process has ended is complete.
    api.stop().await.unwrap();

    let log = fs::read_to_string(folder.path().join("api.log")).unwrap();
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let answered =
        lines.iter().find(|line| line["message"] == "answered a request" && line["correlation_id"] == correlation);
    let answered = answered.unwrap_or_else(|| panic!("{log}"));
    assert_eq!((&answered["tenant_id"], &answered["level"]), (&json!(tenant), &json!("DEBUG")), "{answered}");
    let trace = answered["trace_id"].as_str().unwrap_or_else(|| panic!("{answered}"));
    let spans = collector.spans_of(trace);
    let server = spans.iter().find(|span| span.name == "POST /graphql").unwrap_or_else(|| panic!("{trace}: {spans:?}"));
    assert_eq!(server.attributes["medhub.correlation_id"], correlation);
    assert_eq!(answered["span_id"], server.span_id);
    for personal in [&*user, &*title, &*member.token] {
        assert!(!log.contains(personal), "{personal} is in the log:\n{log}");
        assert!(!format!("{spans:?}").contains(personal), "{personal} is in the trace: {spans:?}");
    }
}
