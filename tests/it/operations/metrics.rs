//! The metrics for Prometheus, and the status table that is printed repeatedly.

use nix::sys::signal::Signal;
use sqlx::{Connection as _, PgConnection};
use tests::{MetricTable, ProductProcess, ShownSeries, engines, parse_series, unique_name};

use super::*;

/// The value of one metric, read as Prometheus reads it: name, labels in any order, value.
fn read_metric(text: &str, name: &str, projection: &str) -> Option<f64> {
    let (label, live) = (format!("projection=\"{projection}\""), "generation=\"g1\"");
    let is_metric =
        |line: &&str| line.starts_with(&format!("{name}{{")) && line.contains(&label) && line.contains(live);
    text.lines().find(is_metric)?.rsplit_once(' ')?.1.parse().ok()
}

#[tokio::test]
async fn metrics_report_the_progress_of_each_projection() {
    let product = shared_product_with_notices().await;
    let mut database = PgConnection::connect(product.variable("DATABASE_URL")).await.unwrap();
    let events: f64 = sqlx::query_scalar("select count(*)::float8 from events").fetch_one(&mut database).await.unwrap();

    // Some metrics are updated only every few seconds.
    eventually(async || {
        let answer = reqwest::get(format!("{}/metrics", product.http())).await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
        let text = answer.text().await.unwrap();
        let flags_age = text.lines().find_map(|line| line.strip_prefix("medhub_feature_flags_age_seconds "));
        let flags_age: f64 = flags_age.ok_or("the age of the feature flags is missing")?.parse().unwrap();
        assert!(flags_age >= 0.0, "{flags_age}");
        ["analytics", "search", "views"].iter().try_for_each(|projection| check_metrics(projection, events, &text))
    })
    .await;
}

/// Checks the metrics of a projection that has applied that many events.
fn check_metrics(projection: &str, events: f64, text: &str) -> Result<(), String> {
    for (name, at_least, at_most) in [
        // Each event is applied at least once; Kafka may deliver it again.
        ("medhub_projection_events_total", events, 2.0 * events),
        // The log may have gaps.
        ("medhub_projection_position", events, 2.0 * events),
        ("medhub_projection_up", 1.0, 1.0),
        ("medhub_projection_active", 1.0, 1.0),
        ("medhub_projection_parked_total", 0.0, 0.0),
        ("medhub_projection_lag_events", 0.0, 0.0),
        ("medhub_projection_lag_seconds", 0.0, 600.0),
        // The last batch may have had only beacons.
        ("medhub_projection_batch_events", 0.0, 2.0 * events),
        ("medhub_projection_apply_seconds_count", 1.0, 2.0 * events),
        ("medhub_projection_apply_seconds_sum", 0.000_001, 600.0),
    ] {
        let found = read_metric(text, name, projection).ok_or_else(|| format!("{name} of {projection} is missing"))?;
        if !(at_least..=at_most).contains(&found) {
            return Err(format!("{name} of {projection} is {found}"));
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_watched_status_table_is_printed_until_it_is_interrupted() {
    let product = shared_product_with_notices().await;
    let logs = tempfile::tempdir().unwrap();
    let args = ["status", "--watch", "1"];
    let mut watch = ProductProcess::start(product.variables(), logs.path(), "watch", &args).unwrap();
    let printed = || std::fs::read_to_string(logs.path().join("watch.log")).unwrap();

    eventually(async || {
        let tables = printed().matches("last error").count();
        if tables >= 3 { Ok(()) } else { Err(format!("{tables} tables: {}", printed())) }
    })
    .await;
    watch.stop_with_signal(Signal::SIGINT).await.unwrap();

    let text = printed();
    for part in ["relay", "analytics g1 *", "search g1 *", "views g1 *", "log"] {
        assert!(text.lines().filter(|line| line.starts_with(part)).count() >= 3, "{part}:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "no terminal codes in a file:\n{text}");
}

/// What a process shows.
async fn read_metrics(url: &str) -> Result<String, String> {
    let answer = async { reqwest::get(format!("{}/metrics", url.trim_end_matches('/'))).await?.text().await };
    answer.await.map_err(|error| error.to_string())
}

/// Whether there is such a series, among others, with these labels and a value other than 0.
fn has_series(series: &[ShownSeries], name: &str, labels: &[(&str, &str)]) -> bool {
    series
        .iter()
        .filter(|found| found.name == name && found.value != "0")
        .any(|found| labels.iter().all(|(label, value)| found.labels.get(*label).is_some_and(|found| found == value)))
}

/// What is shown and not documented: metrics, types, labels.
fn undocumented(text: &str, table: &MetricTable) -> Vec<String> {
    let mut problems = vec![];
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        if table.find(name).is_none_or(|metric| metric.kind != kind) {
            problems.push(format!("{name} is a {kind}"));
        }
        if !text.contains(&format!("# HELP {name} ")) {
            problems.push(format!("{name} has no meaning"));
        }
    }
    for series in parse_series(text) {
        let known = |label: &str| {
            let metric = table.find_series(&series.name);
            metric.is_some_and(|metric| metric.labels.contains(label) || (label == "le" && metric.kind == "histogram"))
        };
        let unknown = series.labels.keys().filter(|label| !known(label));
        problems.extend(unknown.map(|label| format!("{} has the label {label}", series.name)));
    }
    problems
}

/// Uses each edge of a product once.
async fn use_every_edge(product: &ProductHandle) {
    let discover = "mutation($input: DiscoverOpportunityInput!) { discoverOpportunity(input: $input) {
        ... on OpportunityAccepted { id } } }";
    let input = json!({ "noticeId": unique_name("n"), "title": "Beds", "type": "Solicitation", "agency": "VETERANS AFFAIRS, DEPARTMENT OF",
        "postedAt": "2026-03-03T12:00:00Z", "solicitationNumber": unique_name("36C24526") });
    let discovered = product.send_graphql(discover, json!({ "input": input })).await;
    let id =
        discovered["data"]["discoverOpportunity"]["id"].as_str().unwrap_or_else(|| panic!("{discovered}")).to_owned();
    product.send_graphql("{ opportunities(first: 1) { totalCount } }", json!({})).await;
    product.send_graphql("{ no such field", json!({})).await;
    let client = tests::new_http_client();
    let missing = format!("{}/api/v1/opportunities/036:MISSING", product.http());
    assert_eq!(client.get(missing).send().await.unwrap().status(), 404);
    let view = json!({ "type": "view", "sessionId": unique_name("visit"), "pageUrl": "https://medhub.example/x",
        "referrer": "https://www.sam.gov/search", "opportunityId": id });
    let sent = client.post(format!("{}/ingest", product.http())).json(&view).send().await.unwrap();
    assert_eq!(sent.status(), 200);
    for method in ["ListTasks", "Anything"] {
        let call = format!("http://{}/medhub.tasks.v1.TaskService/{method}", product.variable("MEDHUB__GRPC__LISTEN"));
        // Over HTTP/1.1; the message is empty, and so are the credentials.
        client.post(call).header("content-type", "application/grpc").body(vec![0; 5]).send().await.unwrap();
    }
}

#[tokio::test]
async fn every_edge_and_resource_is_measured_and_every_metric_is_documented() {
    let product = shared_product().await;
    let table = MetricTable::read();
    use_every_edge(product).await;
    let http = "http_server_request_duration_seconds_count";
    let graphql = "medhub_graphql_operation_duration_seconds_count";
    let expected: [(&str, &[(&str, &str)]); 18] = [
        (http, &[("http_request_method", "POST"), ("http_route", "/graphql"), ("http_response_status_code", "200")]),
        (http, &[("http_route", "/api/v1/opportunities/{id}"), ("http_response_status_code", "404")]),
        (http, &[("http_route", "/ingest"), ("http_response_status_code", "200")]),
        (
            "rpc_server_call_duration_seconds_count",
            &[("rpc_method", "medhub.tasks.v1.TaskService/ListTasks"), ("rpc_response_status_code", "UNAUTHENTICATED")],
        ),
        // A method that clients choose freely is no label.
        ("rpc_server_call_duration_seconds_count", &[("rpc_method", "_OTHER")]),
        (graphql, &[("graphql_operation_type", "query"), ("outcome", "ok")]),
        (graphql, &[("graphql_operation_type", "mutation"), ("outcome", "ok")]),
        ("medhub_graphql_refused_documents_total", &[]),
        ("medhub_ingest_events_total", &[("outcome", "recorded")]),
        ("medhub_ingest_buffer_limit_events", &[]),
        ("medhub_command_duration_seconds_count", &[("aggregate_type", "opportunity"), ("outcome", "recorded")]),
        ("medhub_events_recorded_total", &[("event_type", "opportunity.discovered")]),
        ("medhub_opportunity_events_total", &[("agency", "036"), ("source", "command")]),
        ("medhub_engagement_events_total", &[("agency", "036"), ("kind", "view"), ("source", "sam_gov")]),
        ("medhub_projection_delay_seconds_count", &[("projection", "views")]),
        ("medhub_projection_batch_slots", &[("projection", "views")]),
        ("db_client_connection_max", &[("db_client_connection_pool_name", "postgres")]),
        ("process_resident_memory_bytes", &[]),
    ];
    // The worker of the read model, and what is measured every few seconds, follow.
    let text = eventually(async || {
        let text = read_metrics(product.http()).await?;
        let series = parse_series(&text);
        let missing: Vec<_> = expected.iter().filter(|(name, labels)| !has_series(&series, name, labels)).collect();
        let zero = ["medhub_relay_lag_seconds", "medhub_relay_lag_events", "medhub_task_queue_tasks"];
        let absent = zero.iter().find(|name| !series.iter().any(|series| series.name == **name));
        if missing.is_empty() && absent.is_none() { Ok(text) } else { Err(format!("{missing:?} {absent:?} in {text}")) }
    })
    .await;
    assert_eq!(undocumented(&text, &table), Vec::<String>::new());

    let registry = engines().await.variable("SCHEMA_REGISTRY_URL").to_owned();
    let registry_text = read_metrics(&registry).await.unwrap();
    let route = [("http_route", "/subjects/{subject}/versions")];
    assert!(has_series(&parse_series(&registry_text), http, &route), "{registry_text}");
    assert_eq!(undocumented(&registry_text, &table), Vec::<String>::new());
}

#[test]
fn an_undocumented_metric_is_noticed() {
    let text = "# HELP medhub_nothing Nothing\n# TYPE medhub_nothing gauge\nmedhub_nothing 1\n\n\
        # TYPE medhub_websockets counter\nmedhub_websockets{client=\"ada\"} 1\n";
    let problems = undocumented(text, &MetricTable::read());
    assert_eq!(
        problems,
        [
            "medhub_nothing is a gauge",
            "medhub_websockets is a counter",
            "medhub_websockets has no meaning",
            "medhub_websockets has the label client"
        ]
    );
}
