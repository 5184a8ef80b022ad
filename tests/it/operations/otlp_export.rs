//! Metrics and the log by OTLP: what a collector receives of one mutation.

use std::{collections::BTreeMap, fs};

use reqwest::Client;
use tests::{ProductEdge, ProductProcess, ShownSeries, SignedInUser, TelemetryCollector, parse_series, unique_name};
use uuid::Uuid;

use super::*;

/// A counter and a histogram that only a mutation changes.
const COUNTER: &str = "medhub_events_recorded_total";
const HISTOGRAM: &str = "medhub_command_duration_seconds";

/// Metrics each 50 ms; the log in the end, since what waits until then is sent by the end of the process.
const EXPORT_SETTINGS: [(&str, &str); 4] = [
    ("OTEL_METRIC_EXPORT_INTERVAL", "50"),
    ("OTEL_BLRP_SCHEDULE_DELAY", "3600000"),
    ("MEDHUB__LOG__FORMAT", "json"),
    ("MEDHUB__LOG__FILTER", "info,api=debug,commands=debug,eventstore=debug"),
];

/// The series of the counter and the histogram, by name and labels.
fn series_of_mutation(series: &[ShownSeries]) -> BTreeMap<(String, BTreeMap<String, String>), String> {
    let of_mutation = series.iter().filter(|series| series.name == COUNTER || series.name.starts_with(HISTOGRAM));
    of_mutation.map(|series| ((series.name.clone(), series.labels.clone()), series.value.clone())).collect()
}

/// The fields of a line of the JSON log but those that a record has elsewhere, as texts.
fn fields_of_line(line: &Value) -> BTreeMap<String, String> {
    let elsewhere = ["timestamp", "level", "target", "message", "trace_id", "span_id"];
    let fields = line.as_object().unwrap().iter().filter(|(name, _)| !elsewhere.contains(&name.as_str()));
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    fields.map(|(name, value)| (name.clone(), text(value))).collect()
}

#[tokio::test]
async fn a_collector_receives_the_metrics_that_are_shown_and_the_log_without_personal_data() {
    let product = shared_product().await;
    let (user, tenant) = (format!("{}@example.com", unique_name("ann")), unique_name("clinic"));
    let member = SignedInUser::register_company(product, &user, &tenant).await;
    let collector = TelemetryCollector::start().await;
    let folder = tempfile::tempdir().unwrap();
    let own = EXPORT_SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned()));
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

    eventually(async || {
        let shown = reqwest::get(format!("http://{address}/metrics")).await.unwrap().text().await.unwrap();
        let shown = series_of_mutation(&parse_series(&shown));
        let is_counted = |name: &str| shown.iter().any(|((shown, _), value)| shown == name && value != "0");
        assert!(is_counted(COUNTER) && is_counted(&format!("{HISTOGRAM}_bucket")), "{shown:#?}");
        let exported = series_of_mutation(&collector.series());
        if exported == shown { Ok(()) } else { Err(format!("{exported:#?} instead of {shown:#?}")) }
    })
    .await;

    api.stop().await.unwrap();
    let records = collector.log_records();
    let is_answer = |message: &str, id: Option<&str>| message == "answered a request" && id == Some(&*correlation);
    let answered = records
        .iter()
        .find(|record| is_answer(&record.message, record.attributes.get("correlation_id").map(String::as_str)))
        .unwrap_or_else(|| panic!("{records:#?}"));
    assert_eq!((&*answered.service, &*answered.severity), ("medhub", "DEBUG"));
    assert_eq!(answered.attributes["tenant_id"], tenant);
    let spans = collector.spans_of(&answered.trace_id);
    let server = spans.iter().find(|span| span.name == "POST /graphql").unwrap_or_else(|| panic!("{spans:#?}"));
    assert_eq!(server.attributes["medhub.correlation_id"], correlation);
    assert_eq!(answered.span_id, server.span_id);

    // What the JSON log leaves out, the record leaves out.
    let log = fs::read_to_string(folder.path().join("api.log")).unwrap();
    let mut lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{line}")));
    let line =
        lines.find(|line| is_answer(line["message"].as_str().unwrap_or_default(), line["correlation_id"].as_str()));
    let line = line.unwrap_or_else(|| panic!("{log}"));
    assert_eq!(answered.attributes, fields_of_line(&line));
    assert_eq!(line["target"], answered.target);
    let received = format!("{records:?} {:?}", collector.series());
    for personal in [&*user, &*title, &*member.token] {
        assert!(!received.contains(personal), "{personal} was sent: {received}");
    }
}
