//! The trace of an upload, through the process that it starts, into the task that this requests.

use tests::{CollectedSpan, HttpResponse, SignedInUser, TelemetryCollector, build_request, document_work_settings};

use super::*;

const TRACE_ID: &str = "5cf92f3577b34da6a3ce929d0e0e4737";

/// The spans of that name, by their ids.
fn spans_named<'a>(spans: &'a [CollectedSpan], name: &str) -> Vec<&'a CollectedSpan> {
    spans.iter().filter(|span| span.name == name).collect()
}

#[tokio::test]
async fn a_trace_leads_from_an_upload_through_its_process_into_the_task() {
    let collector = TelemetryCollector::start().await;
    let mut settings = document_work_settings(1);
    settings.extend(collector.variables());
    settings.extend([("MEDHUB__TELEMETRY__CONTINUE_CLIENT_TRACES".to_owned(), "true".to_owned())]);
    let product = ProductInstance::start_with(settings).await;
    let ada = SignedInUser::register_company(&product, "ada", "acme").await;

    let upload = build_request(&product, "POST", "/api/v1/documents?fileName=sow.txt", Some(&ada.token));
    let upload =
        upload.header("content-type", "text/plain").header("traceparent", format!("00-{TRACE_ID}-00f067aa0ba902b7-01"));
    let uploaded = HttpResponse::from_request(upload.body("Pumps.")).await;
    assert_eq!(uploaded.status.as_u16(), 201, "{}", uploaded.body);

    // Spans arrive in batches, and each is sent when it has ended.
    eventually(async || {
        let spans = collector.spans_of(TRACE_ID);
        let is_child = |child: &CollectedSpan, parent: &CollectedSpan| child.parent_id == parent.span_id;
        let chain = ["send commands document-analysis", "command task", "task extract_text"];
        let mut last = spans_named(&spans, "command document");
        for name in chain {
            let parents = last;
            last = spans_named(&spans, name)
                .into_iter()
                .filter(|span| parents.iter().any(|parent| is_child(span, parent)))
                .collect();
            if last.is_empty() {
                return Err(format!("no {name} below the span before it: {spans:#?}"));
            }
        }
        Ok(())
    })
    .await;
}
