//! Traces that leave their request: through processes into a task that they request, and into a mail.

use reqwest::Client;
use sqlx::{Connection as _, PgConnection};
use tests::{CollectedSpan, HttpResponse, SignedInUser, TelemetryCollector, build_request, document_work_settings};

use super::*;

const TRACE_ID: &str = "5cf92f3577b34da6a3ce929d0e0e4737";

/// The settings of a product that sends its spans to `collector` and continues the traces of clients.
fn trace_settings(collector: &TelemetryCollector) -> EnvironmentVariables {
    let continued = ("MEDHUB__TELEMETRY__CONTINUE_CLIENT_TRACES".to_owned(), "true".to_owned());
    collector.variables().into_iter().chain([continued]).collect()
}

/// Waits until the collector has spans of these names, each a child of one before it.
async fn wait_for_chain(collector: &TelemetryCollector, names: &[&str]) {
    // Spans arrive in batches, and each is sent when it has ended.
    eventually(async || {
        let spans = collector.spans_of(TRACE_ID);
        let mut parents: Vec<&CollectedSpan> = vec![];
        for (step, name) in names.iter().enumerate() {
            let is_child = |span: &CollectedSpan| parents.iter().any(|parent| span.parent_id == parent.span_id);
            let found = spans.iter().filter(|span| span.name == *name && (step == 0 || is_child(span))).collect();
            parents = found;
            if parents.is_empty() {
                return Err(format!("no {name} below the span before it: {spans:#?}"));
            }
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_trace_leads_from_an_upload_through_its_process_into_the_task() {
    let collector = TelemetryCollector::start().await;
    let mut settings = document_work_settings(1);
    settings.extend(trace_settings(&collector));
    let product = ProductInstance::start_with(settings).await;
    let ada = SignedInUser::register_company(&product, "ada", "acme").await;

    let upload = build_request(&product, "POST", "/api/v1/documents?fileName=sow.txt", Some(&ada.token));
    let upload =
        upload.header("content-type", "text/plain").header("traceparent", format!("00-{TRACE_ID}-00f067aa0ba902b7-01"));
    let uploaded = HttpResponse::from_request(upload.body("Pumps.")).await;
    assert_eq!(uploaded.status.as_u16(), 201, "{}", uploaded.body);

    let chain = ["command document", "send commands document-analysis", "command task", "task extract_text"];
    wait_for_chain(&collector, &chain).await;
}

#[tokio::test]
async fn a_trace_leads_from_a_notice_through_a_saved_search_to_the_mail_that_is_delivered() {
    let collector = TelemetryCollector::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut settings = trace_settings(&collector);
    settings.extend([
        ("MEDHUB__MAIL__TRANSPORT".to_owned(), "folder".to_owned()),
        ("MEDHUB__MAIL__FOLDER".to_owned(), folder.path().display().to_string()),
        ("MEDHUB__MAIL__PUBLIC_URL".to_owned(), "https://medhub.example/hub".to_owned()),
        ("MEDHUB__MAIL__UNSUBSCRIBE_SECRET".to_owned(), "a secret of the test".to_owned()),
    ]);
    let product = ProductInstance::start_with(settings).await;
    let ann = SignedInUser::register_company(&product, "ann", "acme").await;
    let preferences = "changeMailPreferences(input: { address: \"ann@clinic.example\", timeZone: \"UTC\" })";
    ann.apply_change(preferences, json!({})).await;
    ann.apply_change("saveSearch(search: { name: \"Lifts\", naics: [\"3391\"], notify: AT_ONCE })", json!({})).await;

    let discover = "mutation($input: DiscoverOpportunityInput!) { discoverOpportunity(input: $input) {
        ... on OpportunityAccepted { id } } }";
    let input = json!({ "noticeId": "n-L1", "title": "Patient lifts", "type": "Solicitation", "naics": "339113",
        "agency": "VETERANS AFFAIRS, DEPARTMENT OF", "solicitationNumber": "L1", "postedAt": "2026-03-03T12:00:00Z" });
    let request = Client::new()
        .post(format!("{}/graphql", product.http()))
        .bearer_auth(product.operator_token())
        .header("traceparent", format!("00-{TRACE_ID}-00f067aa0ba902b7-01"))
        .json(&json!({ "query": discover, "variables": { "input": input } }));
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["data"]["discoverOpportunity"]["id"], "036:L1", "{answer}");

    // The notification of the match requests the mail, whose row has the trace until it is delivered.
    let chain =
        ["command opportunity", "send commands saved-search-alerts", "command inbox", "send mail", "deliver mail"];
    wait_for_chain(&collector, &chain).await;
    let mails =
        std::fs::read_dir(folder.path()).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let mails: Vec<_> = mails.collect();
    assert!(mails.len() == 1 && mails[0].contains("To: ann@clinic.example"), "{mails:?}");
    let spans = format!("{:?}", collector.spans_of(TRACE_ID));
    assert!(!spans.contains("clinic.example"), "an address is in the trace: {spans}");

    // The end of the search's hour will continue the trace of the first match.
    let mut connection = PgConnection::connect(product.variable("DATABASE_URL")).await.unwrap();
    let timers = "select traceparent from process_timers where process = 'saved-search-alerts'";
    let timers: Vec<String> = sqlx::query_scalar(timers).fetch_all(&mut connection).await.unwrap();
    assert!(timers.len() == 1 && timers[0].contains(TRACE_ID), "{timers:?}");
}
