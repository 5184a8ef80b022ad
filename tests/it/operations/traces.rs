//! The trace of a mutation, from the client through every process and store, across crashes and a redelivery.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use reqwest::Client;
use sqlx::{Connection, Executor as _, PgConnection};
use tests::{CollectedSpan, ProductEdge, ProductProcess, TelemetryCollector};

use super::*;

const DISCOVER: &str = "mutation Discover($input: DiscoverOpportunityInput!) { discoverOpportunity(input: $input) {
    ... on OpportunityAccepted { id } } }";
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const UNSAMPLED_TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const CLIENT_SPAN_ID: &str = "00f067aa0ba902b7";

/// The projections that handle events of opportunities, with the kinds of their stores.
const PROJECTIONS: [(&str, &str); 5] =
    [("analytics", "clickhouse"), ("lists", "postgresql"), ("live", "redis"), ("search", "qdrant"), ("views", "redis")];

/// Blocks the checkpoints of the topic of opportunities from position `$1` on while this connection holds a lock.
const HOLD_CHECKPOINTS: &str = "
    select pg_advisory_lock(7);
    create function hold_checkpoint() returns trigger language plpgsql as
        $$ begin perform pg_advisory_xact_lock(7); return new; end $$;
    create trigger hold_checkpoint before insert or update on projection_checkpoints for each row
        when (new.topic like '%.opportunities.events' and new.position >= $1) execute function hold_checkpoint();";

fn start_process(product: &ProductInstance, collector: &TelemetryCollector, name: &str, role: &str) -> ProductProcess {
    let continued = ("MEDHUB__TELEMETRY__CONTINUE_CLIENT_TRACES".to_owned(), "true".to_owned());
    let variables = product.variables().clone().into_iter().chain(collector.variables()).chain([continued]).collect();
    ProductProcess::start(&variables, product.folder(), name, &["serve", "--role", role]).unwrap()
}

/// Discovers an opportunity as part of the client's trace with these flags, and returns its position in the log and the
/// trace context that is recorded with it.
async fn discover(
    product: &ProductInstance,
    api: &str,
    number: &str,
    (trace_id, flags): (&str, &str),
) -> (i64, Option<String>) {
    let input = json!({ "input": { "noticeId": number, "title": "Infusion pumps", "type": "Solicitation",
        "agency": "VETERANS AFFAIRS, DEPARTMENT OF", "solicitationNumber": number, "postedAt": "2026-03-03T12:00:00Z" } });
    let request = Client::new()
        .post(format!("http://{api}/graphql"))
        .bearer_auth(product.operator_token())
        .header("traceparent", format!("00-{trace_id}-{CLIENT_SPAN_ID}-{flags}"))
        .json(&json!({ "query": DISCOVER, "variables": input }));
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    let id = answer["data"]["discoverOpportunity"]["id"].as_str().unwrap_or_else(|| panic!("{answer}"));
    let mut connection = PgConnection::connect(product.variable("DATABASE_URL")).await.unwrap();
    sqlx::query_as("select position, metadata ->> 'traceparent' from events where aggregate_id = $1")
        .bind(id)
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

/// Waits for the span of that name, which is the only one in its trace.
async fn wait_for_span(collector: &TelemetryCollector, name: &str) -> CollectedSpan {
    let named = async || {
        let spans = collector.spans_of(TRACE_ID);
        let mut found: Vec<_> = spans.iter().filter(|span| span.name == name).cloned().collect();
        if found.len() == 1 { Ok(found.remove(0)) } else { Err(format!("{} {name} in {spans:#?}", found.len())) }
    };
    eventually(named).await
}

/// Waits until each projection has written the event, and returns the parents of these writes.
async fn wait_for_writes(collector: &TelemetryCollector) -> BTreeSet<String> {
    eventually(async || {
        let spans = collector.spans_of(TRACE_ID);
        let parent_of = |projection: &str| {
            let write = spans.iter().find(|span| span.name == format!("write {projection}"));
            write.map(|span| span.parent_id.clone())
        };
        let parents = PROJECTIONS.iter().map(|&(projection, _)| parent_of(projection)).collect::<Option<_>>();
        parents.ok_or_else(|| format!("{spans:#?}"))
    })
    .await
}

#[tokio::test]
async fn one_trace_leads_from_the_request_to_every_store_across_crashes_and_a_redelivery() {
    // With one partition a checkpoint beyond an event's position means that the event is applied.
    let one_partition = [("MEDHUB__KAFKA__PARTITIONS".to_owned(), "1".to_owned())].into();
    let mut product = ProductInstance::start_with(one_partition).await;
    product.kill9();
    let collector = TelemetryCollector::start().await;

    let mut api = start_process(&product, &collector, "api", "api");
    let address = api.wait_for_address(ProductEdge::Http).await.unwrap();
    let (_, unsampled) = discover(&product, &address, "TRACE-0", (UNSAMPLED_TRACE_ID, "00")).await;
    let (position, traceparent) = discover(&product, &address, "TRACE-1", (TRACE_ID, "01")).await;
    let append = wait_for_span(&collector, "append events").await;
    let server = wait_for_span(&collector, "POST /graphql").await;
    api.kill9().unwrap();

    let operation = wait_for_span(&collector, "mutation").await;
    let resolver = wait_for_span(&collector, "Mutation.discoverOpportunity").await;
    let command = wait_for_span(&collector, "command opportunity").await;
    let parents = [&server, &operation, &resolver, &command, &append].map(|span| span.parent_id.as_str());
    let expected = [CLIENT_SPAN_ID, &server.span_id, &operation.span_id, &resolver.span_id, &command.span_id];
    assert_eq!(parents, expected, "{:#?}", collector.spans_of(TRACE_ID));
    assert_eq!((server.kind, append.kind), (SpanKind::Server, SpanKind::Client));
    assert_eq!((server.service.as_str(), &*server.attributes["http.response.status_code"]), ("medhub", "200"));
    assert_eq!(append.attributes["db.system.name"], "postgresql");
    assert_eq!(traceparent, Some(format!("00-{TRACE_ID}-{}-01", command.span_id)));
    assert_eq!(unsampled, None, "unsampled traces are not stored");

    let mut relay = start_process(&product, &collector, "relay", "relay");
    let topic = format!("{}.opportunities.events", product.namespace().topic_prefix());
    let send = wait_for_span(&collector, &format!("send {topic}")).await;
    relay.kill9().unwrap();
    assert_eq!((send.kind, &send.parent_id), (SpanKind::Producer, &command.span_id));

    // The workers write to the stores, and are killed before they can save that they have.
    let mut blocker = PgConnection::connect(product.variable("DATABASE_URL")).await.unwrap();
    blocker.execute(&*HOLD_CHECKPOINTS.replace("$1", &position.to_string())).await.unwrap();
    let mut workers = start_process(&product, &collector, "workers", "projections");
    let interrupted_parents = wait_for_writes(&collector).await;
    workers.kill9().unwrap();
    blocker.execute("select pg_advisory_unlock(7)").await.unwrap();
    workers.launch().unwrap();

    let processed = eventually(async || {
        let spans = collector.spans_of(TRACE_ID);
        let process = format!("process {topic}");
        let ended = |projection: &str| {
            spans
                .iter()
                .find(|span| span.name == process && span.attributes["medhub.projection"] == projection)
                .cloned()
        };
        PROJECTIONS
            .iter()
            .map(|&(projection, store)| ended(projection).map(|span| (projection, store, span)))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| format!("{spans:#?}"))
    })
    .await;
    let spans = collector.spans_of(TRACE_ID);
    for (projection, store, process) in processed {
        assert_eq!((process.kind, &process.parent_id), (SpanKind::Consumer, &command.span_id), "{process:?}");
        assert_eq!(process.attributes["messaging.destination.name"], topic);
        assert!(process.attributes["messaging.consumer.group.name"].contains(projection), "{process:?}");
        assert!(
            !interrupted_parents.contains(&process.span_id),
            "the killed workers cannot have ended theirs: {process:?}"
        );
        let is_write = |span: &&CollectedSpan| span.parent_id == process.span_id;
        let writes: Vec<_> = spans.iter().filter(is_write).collect();
        let [write] = &writes[..] else { panic!("{projection}: {spans:#?}") };
        assert_eq!(
            (write.name.clone(), write.kind, write.is_error),
            (format!("write {projection}"), SpanKind::Client, false)
        );
        assert_eq!(write.attributes["db.system.name"], store);
    }
    workers.stop().await.unwrap();
    assert_eq!(collector.spans_of(UNSAMPLED_TRACE_ID), Vec::new());
}
