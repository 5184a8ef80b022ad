//! The log as JSON: whose request a line is about, and nothing about people.

use super::{observed_mutation::ObservedMutation, *};

#[tokio::test]
async fn lines_about_a_request_name_its_correlation_tenant_and_trace_and_no_personal_data() {
    let mut mutation = ObservedMutation::send(&[]).await;

    let log = mutation.stop().await;

    let lines = ObservedMutation::lines(&log);
    let answered = lines
        .iter()
        .find(|line| line["message"] == "answered a request" && line["correlation_id"] == mutation.correlation)
        .unwrap_or_else(|| panic!("{log}"));
    let named = (&answered["tenant_id"], &answered["level"]);
    assert_eq!(named, (&json!(mutation.tenant), &json!("DEBUG")), "{answered}");
    let trace = answered["trace_id"].as_str().unwrap_or_else(|| panic!("{answered}"));
    let spans = mutation.collector.spans_of(trace);
    let server = spans.iter().find(|span| span.name == "POST /graphql").unwrap_or_else(|| panic!("{trace}: {spans:?}"));
    assert_eq!(server.attributes["medhub.correlation_id"], mutation.correlation);
    assert_eq!(answered["span_id"], server.span_id);
    for personal in &mutation.personal_data {
        assert!(!log.contains(personal), "{personal} is in the log:\n{log}");
        assert!(!format!("{spans:?}").contains(personal), "{personal} is in the trace: {spans:?}");
    }
}
