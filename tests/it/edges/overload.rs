//! More than a process has room for: requests, queries that wait, connections, and statements that take too long.

mod consistency_waits;
mod other_edges;

use std::time::Duration;

use eventstore::relay::RELAY_CONNECTIONS;
use projections::storage::postgres::ListsConfig;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};
use tests::{
    EnvironmentVariables, GraphqlSubscriber, HttpResponse, ProductHandle, ProductInstance, SignedInUser, WAIT_TIMEOUT,
    build_request, count_postgres_connections, error_code, eventually, most_postgres_connections, unique_name,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

/// Requests that the product works on at once; queries may have three of them.
const CAPACITY: usize = 4;
const QUERIES: usize = 3;

/// Connections of its HTTP edge.
const MAX_CONNECTIONS: usize = 160;

/// A product with room for little. Nothing waits for room, so that what is refused depends on no time.
async fn start_small_product() -> ProductInstance {
    let (capacity, connections) = (CAPACITY.to_string(), MAX_CONNECTIONS.to_string());
    let wait_ms = WAIT_TIMEOUT.as_millis().to_string();
    let settings = [
        ("MEDHUB__LIMITS__ENABLED", "false"),
        ("MEDHUB__HTTP__MAX_RUNNING_REQUESTS", capacity.as_str()),
        ("MEDHUB__HTTP__MAX_QUEUE_WAIT_MS", "0"),
        ("MEDHUB__HTTP__HEADER_TIMEOUT_MS", wait_ms.as_str()),
        ("MEDHUB__HTTP__MAX_CONNECTIONS", connections.as_str()),
        ("MEDHUB__LISTS__QUERY_TIMEOUT_MS", wait_ms.as_str()),
        ("MEDHUB__POSTGRES__STATEMENT_TIMEOUT_MS", "2000"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    ProductInstance::start_with(EnvironmentVariables::from(settings)).await
}

/// Sends an anonymous query.
async fn send_query(client: Client, url: String, query: String) -> HttpResponse {
    HttpResponse::from_request(client.post(format!("{url}/graphql")).json(&json!({ "query": query }))).await
}

/// A query that reads the counters of the lists and shares its answer with no other one.
fn counting_query(number: usize) -> String {
    format!("{{ opportunities(first: {}) {{ totalCount }} }}", number + 1)
}

fn assert_refused(refused: &HttpResponse) {
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.body);
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(error_code(&refused.body), "UNAVAILABLE", "{}", refused.body);
    assert_eq!(refused.body["errors"][0]["extensions"]["retryAfterSeconds"], 1, "{}", refused.body);
}

async fn get(product: &ProductHandle, path: &str) -> HttpResponse {
    HttpResponse::from_request(tests::new_http_client().get(format!("{}{path}", product.http()))).await
}

/// The value of the counter that has all these labels.
async fn read_counter(product: &ProductHandle, name: &str, labels: &[&str]) -> u64 {
    let text = reqwest::get(format!("{}/metrics", product.http())).await.unwrap().text().await.unwrap();
    let is_series =
        |line: &&str| line.starts_with(&format!("{name}{{")) && labels.iter().all(|label| line.contains(label));
    let line = text.lines().find(is_series).unwrap_or_else(|| panic!("no {name} {labels:?}: {text}"));
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

/// Waits until so many queries wait for the table of counters.
async fn wait_for_blocked_queries(connection: &mut PgConnection, queries: i64) {
    let sql =
        "select count(*) from pg_locks where not granted and relation = 'opportunity_lists_g1.counters'::regclass";
    let deadline = Instant::now() + WAIT_TIMEOUT;
    loop {
        let blocked: i64 = connection.fetch_one(sql).await.unwrap().get(0);
        if blocked == queries {
            return;
        }
        assert!(Instant::now() < deadline, "{blocked} queries are blocked");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until lists are read from their read model.
async fn wait_for_lists(product: &ProductHandle) {
    let query = "{ opportunities(first: 1, orderBy: DEADLINE_SOONEST) { totalCount } }";
    eventually(async || {
        let answer = send_query(tests::new_http_client(), product.http().to_owned(), query.to_owned()).await.body;
        anyhow::ensure!(answer["errors"].is_null(), "{answer}");
        anyhow::Ok(())
    })
    .await;
}

/// One product, since each of its own would start for seconds.
#[tokio::test]
async fn requests_within_the_limit_are_answered_and_the_others_refused() {
    let product = start_small_product().await;
    wait_for_lists(&product).await;
    ten_times_the_capacity_is_answered_up_to_the_capacity(&product).await;
    every_client_is_answered_that_returns(&product).await;
    no_more_connections_are_open_than_are_counted(&product).await;
    consistency_waits::waiting_queries_leave_room_for_others(&product).await;
    without_free_connections_the_process_reports_on_itself(&product).await;
    a_statement_that_waits_too_long_is_ended(&product).await;
}

/// What contradicts that these queries were all refused because the process had no room for them, and none besides.
fn find_unshed(answers: &[HttpResponse], shed: u64) -> Vec<String> {
    let is_answered = |answer: &&HttpResponse| {
        answer.status != StatusCode::SERVICE_UNAVAILABLE || !answer.body.to_string().contains("too many requests are")
    };
    let mut problems: Vec<_> = answers.iter().filter(is_answered).map(|answer| answer.body.to_string()).collect();
    if shed != answers.len() as u64 {
        problems.push(format!("{shed} of {} requests were shed", answers.len()));
    }
    problems
}

/// How many requests the process has shed, as it reports.
async fn count_shed(product: &ProductHandle) -> u64 {
    let ready = get(product, "/ready").await;
    ready.body["load"]["shed"].as_u64().unwrap_or_else(|| panic!("{}", ready.body))
}

/// While queries take all the room that they may have, queries are refused, and commands, operators and probes are not.
async fn ten_times_the_capacity_is_answered_up_to_the_capacity(product: &ProductHandle) {
    let ada = SignedInUser::register_company(product, "ada", &unique_name("acme")).await;
    let mut observer = PgConnection::connect(product.variable("DATABASE_URL")).await.unwrap();
    let mut blocker = PgConnection::connect(product.variable("DATABASE_URL")).await.unwrap();
    blocker.execute("begin; lock table opportunity_lists_g1.counters in access exclusive mode").await.unwrap();
    let mut running = JoinSet::new();
    for number in 0..QUERIES {
        running.spawn(send_query(tests::new_http_client(), product.http().to_owned(), counting_query(number)));
    }
    wait_for_blocked_queries(&mut observer, i64::try_from(QUERIES).unwrap()).await;

    let mut refused = JoinSet::new();
    for number in QUERIES..10 * CAPACITY {
        refused.spawn(send_query(tests::new_http_client(), product.http().to_owned(), counting_query(number)));
    }
    let refused = refused.join_all().await;
    refused.iter().for_each(assert_refused);
    assert_eq!(find_unshed(&refused, count_shed(product).await), Vec::<String>::new());
    let rest = get(product, "/api/v1/opportunities?first=1").await;
    assert_eq!((rest.status.as_u16(), rest.problem_code(), rest.header("retry-after")), (503, "UNAVAILABLE", "1"));
    // No status says so over a WebSocket: the operation has its own outcome.
    let mut socket = GraphqlSubscriber::subscribe(product.http(), json!({}), &counting_query(0)).await.unwrap();
    let answer = socket.next_answer().await.unwrap().expect("a refusal");
    assert_eq!(error_code(&answer), "UNAVAILABLE", "{answer}");
    let labels = [r#"graphql_operation_type="query""#, r#"outcome="shed""#];
    assert_eq!(read_counter(product, "medhub_graphql_operation_duration_seconds_count", &labels).await, 1);

    for number in 0..3 {
        let body = json!({ "name": format!("Work {number}"), "kind": "past_performance", "body": "Lifts." });
        let create = build_request(product, "POST", "/api/v1/resources", Some(&ada.token)).json(&body);
        let created = HttpResponse::from_request(create).await;
        assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    }
    let operator = product.send_graphql("{ projections { generation } }", Value::Null).await;
    assert!(operator["errors"].is_null(), "{operator}");
    nothing_is_shed_where_shedding_is_off(product).await;
    let over_other_edges = other_edges::queries_are_shed_over_grpc_and_websockets(product, &ada).await;
    let ready = get(product, "/ready").await;
    let shed = refused.len() + 2 + over_other_edges;
    assert_eq!((ready.status, &ready.body["ready"]), (StatusCode::OK, &json!(true)), "{}", ready.body);
    assert_eq!(ready.body["load"], json!({ "running": QUERIES, "limit": CAPACITY, "shed": shed }));
    assert_eq!(get(product, "/health").await.status, StatusCode::OK);
    let shed_queries = read_counter(product, "medhub_requests_shed_total", &[r#"priority="query""#]).await;
    assert_eq!(shed_queries, u64::try_from(shed).unwrap());
    assert_eq!(read_counter(product, "medhub_requests_shed_total", &[r#"priority="command""#]).await, 0);
    let shed_commands = other_edges::commands_are_shed_when_nothing_has_room(product, &ada).await;
    assert_eq!(read_counter(product, "medhub_requests_shed_total", &[r#"priority="command""#]).await, shed_commands);

    blocker.execute("rollback").await.unwrap();
    for answered in running.join_all().await {
        assert_eq!((answered.status, &answered.body["errors"]), (StatusCode::OK, &Value::Null), "{}", answered.body);
    }
}

/// The planted violation of [`find_unshed`]: shedding is off for operators, who send as many queries.
async fn nothing_is_shed_where_shedding_is_off(product: &ProductHandle) {
    let before = count_shed(product).await;
    let mut answered = JoinSet::new();
    for _ in 0..2 * CAPACITY {
        let request = build_request(product, "POST", "/graphql", Some(product.operator_token()));
        answered.spawn(HttpResponse::from_request(request.json(&json!({ "query": "{ __typename }" }))));
    }
    let problems = find_unshed(&answered.join_all().await, count_shed(product).await - before);
    assert_eq!(problems.len(), 2 * CAPACITY + 1, "{problems:?}");
}

/// Ten times as many clients as there is room for repeat refused requests, and all are answered.
async fn every_client_is_answered_that_returns(product: &ProductHandle) {
    let mut clients = JoinSet::new();
    for number in 0..10 * CAPACITY {
        let (client, url) = (tests::new_http_client(), product.http().to_owned());
        clients.spawn(async move {
            for round in 0..3 {
                let query = counting_query(number + round);
                loop {
                    let answer = send_query(client.clone(), url.clone(), query.clone()).await;
                    if answer.status == StatusCode::OK && answer.body["errors"].is_null() {
                        break;
                    }
                    assert_eq!(error_code(&answer.body), "UNAVAILABLE", "{}", answer.body);
                    sleep(Duration::from_millis(10)).await;
                }
            }
        });
    }
    timeout(WAIT_TIMEOUT, clients.join_all()).await.expect("every client is answered");
}

/// The number that the overlays are checked with holds for a process under full load.
async fn no_more_connections_are_open_than_are_counted(product: &ProductHandle) {
    let mut observer = PgConnection::connect(product.variable("DATABASE_URL")).await.unwrap();
    let open = count_postgres_connections(&mut observer).await.unwrap();
    let of_relay = ["medhub relay", "medhub lease", "medhub wake-ups"].map(|name| open.get(name).copied());
    assert_eq!(of_relay, [Some(1); RELAY_CONNECTIONS], "{open:?}");
    let pool = product.variable("MEDHUB__POSTGRES__MAX_CONNECTIONS").parse().unwrap();
    let most = most_postgres_connections(pool, ListsConfig::default().max_connections);
    let sum: i64 = open.values().sum();
    assert!(sum <= i64::from(most), "{sum} of {most}: {open:?}");
}

/// Sends a request over its own connection, and returns the answer.
async fn send_raw(product: &ProductHandle, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(product.http().trim_start_matches("http://")).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Over the connections beyond the limit, probes and scrapers are answered, and everything else is refused.
async fn without_free_connections_the_process_reports_on_itself(product: &ProductHandle) {
    let mut idle = vec![];
    for _ in 0..MAX_CONNECTIONS {
        idle.push(TcpStream::connect(product.http().trim_start_matches("http://")).await.unwrap());
    }
    // Connections of the start may still be open, and those just opened may not be accepted yet.
    eventually(async || {
        let answer = send_raw(product, "/api/v1/opportunities").await?;
        anyhow::ensure!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
        anyhow::ensure!(answer.contains(r#""code":"UNAVAILABLE""#), "{answer}");
        anyhow::Ok(())
    })
    .await;
    for path in ["/health", "/ready"] {
        let answer = send_raw(product, path).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
    }
    let refused =
        read_counter(product, "medhub_connections_refused_total", &[r#"edge="HTTP""#, r#"reason="total""#]).await;
    assert!(refused >= 3, "{refused}");
    drop(idle);
    eventually(async || {
        let answer = send_raw(product, "/api/v1/opportunities").await?;
        anyhow::ensure!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        anyhow::Ok(())
    })
    .await;
}

/// The caller is told, and connection and locks are free again.
async fn a_statement_that_waits_too_long_is_ended(product: &ProductHandle) {
    let mut blocker = PgConnection::connect(product.variable("DATABASE_URL")).await.unwrap();
    blocker.execute("begin; lock table events in access exclusive mode").await.unwrap();
    let history = r#"{ opportunityHistory(id: "036:36C24526Q7300") { hasMore } }"#;
    let failed = send_query(tests::new_http_client(), product.http().to_owned(), history.to_owned()).await;
    assert_eq!(error_code(&failed.body), "UNAVAILABLE", "{}", failed.body);
    blocker.execute("rollback").await.unwrap();
    let answered = send_query(tests::new_http_client(), product.http().to_owned(), history.to_owned()).await;
    assert_eq!(answered.body["data"]["opportunityHistory"]["hasMore"], false, "{}", answered.body);
}
