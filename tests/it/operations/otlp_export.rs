//! Metrics and the log by OTLP: what a collector receives of one mutation.

use std::collections::BTreeMap;

use tests::{ShownSeries, parse_series};

use super::{observed_mutation::ObservedMutation, *};

/// A counter and a histogram that only a mutation changes.
const COUNTER: &str = "medhub_events_recorded_total";
const HISTOGRAM: &str = "medhub_command_duration_seconds";

/// Metrics each 50 ms; the log in the end, since what waits until then is sent by the end of the process.
const EXPORT_SETTINGS: [(&str, &str); 2] =
    [("OTEL_METRIC_EXPORT_INTERVAL", "50"), ("OTEL_BLRP_SCHEDULE_DELAY", "3600000")];

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
    let mut mutation = ObservedMutation::send(&EXPORT_SETTINGS).await;

    eventually(async || {
        let shown = reqwest::get(format!("http://{}/metrics", mutation.address)).await.unwrap().text().await.unwrap();
        let shown = series_of_mutation(&parse_series(&shown));
        let is_counted = |name: &str| shown.iter().any(|((shown, _), value)| shown == name && value != "0");
        assert!(is_counted(COUNTER) && is_counted(&format!("{HISTOGRAM}_bucket")), "{shown:#?}");
        let exported = series_of_mutation(&mutation.collector.series());
        if exported == shown { Ok(()) } else { Err(format!("{exported:#?} instead of {shown:#?}")) }
    })
    .await;

    let log = mutation.stop().await;
    let records = mutation.collector.log_records();
    let is_answer =
        |message: &str, id: Option<&str>| message == "answered a request" && id == Some(&*mutation.correlation);
    let answered = records
        .iter()
        .find(|record| is_answer(&record.message, record.attributes.get("correlation_id").map(String::as_str)))
        .unwrap_or_else(|| panic!("{records:#?}"));
    assert_eq!((&*answered.service, &*answered.severity), ("medhub", "DEBUG"));
    assert_eq!(answered.attributes["tenant_id"], mutation.tenant);
    let spans = mutation.collector.spans_of(&answered.trace_id);
    let server = spans.iter().find(|span| span.name == "POST /graphql").unwrap_or_else(|| panic!("{spans:#?}"));
    assert_eq!(server.attributes["medhub.correlation_id"], mutation.correlation);
    assert_eq!(answered.span_id, server.span_id);

    // What the JSON log leaves out, the record leaves out.
    let lines = ObservedMutation::lines(&log);
    let line = lines
        .iter()
        .find(|line| is_answer(line["message"].as_str().unwrap_or_default(), line["correlation_id"].as_str()))
        .unwrap_or_else(|| panic!("{log}"));
    assert_eq!(answered.attributes, fields_of_line(line));
    assert_eq!(line["target"], answered.target);
    let received = format!("{records:?} {:?}", mutation.collector.series());
    for personal in &mutation.personal_data {
        assert!(!received.contains(personal), "{personal} was sent: {received}");
    }
}
