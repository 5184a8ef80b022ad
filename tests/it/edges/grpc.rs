//! Tasks over gRPC, by a client that knows nothing but what reflection tells it.

use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tests::{SignedInUser, eventually, python, run_to_end, shared_product, unique_name};
use uuid::Uuid;

/// Python's own gRPC, with a client that builds messages from reflection.
const PACKAGES: [&str; 3] = ["grpcio==1.85.1", "grpcio-reflection==1.85.1", "grpcio-health-checking==1.85.1"];

#[tokio::test]
async fn a_stock_client_asks_for_work_and_a_worker_does_it() {
    let product = shared_product().await;
    let admin = SignedInUser::found(product, "ada", &unique_name("acme")).await;
    let eve = SignedInUser::found(product, "eve", &unique_name("other")).await;
    let issue = |name: &str, scopes: &str| {
        format!("mutation {{ issueApiKey(input: {{ name: \"{name}\", scopes: [{scopes}] }}) {{ key }} }}")
    };
    let mut keys = vec![];
    for (name, scopes) in [("worker", "TASKS"), ("writer", "WRITE")] {
        let issued = admin.ask(&issue(name, scopes), json!({})).await;
        keys.push(issued["data"]["issueApiKey"]["key"].as_str().unwrap_or_else(|| panic!("{issued}")).to_owned());
    }
    let address = product.variable("MEDHUB__GRPC__LISTEN").to_owned();
    let operation = Uuid::new_v4().to_string();
    let arguments = [address, keys[0].clone(), keys[1].clone(), eve.token.clone(), operation.clone()];
    let output = tokio::task::spawn_blocking(move || {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/it/edges/tasks.py");
        run_to_end(python(&PACKAGES).arg(script).args(arguments))
    });
    assert!(output.await.unwrap().contains("everything holds"));
    let mut log = PgConnection::connect(product.variable("DATABASE_URL")).await.unwrap();
    let part_of = "select event_type from events
        where metadata ->> 'correlation_id' = $1 and metadata ->> 'causation_id' = $1";
    let events: Vec<String> = sqlx::query_scalar(part_of).bind(&operation).fetch_all(&mut log).await.unwrap();
    assert_eq!(events, ["task.started"], "what led to it is on record");

    eventually(async || {
        let seen = admin.ask("{ tasks(status: COMPLETED) { edges { node { result } } } }", json!({})).await;
        if seen["data"]["tasks"]["edges"][0]["node"]["result"] == "30 pages" { Ok(()) } else { Err(seen.to_string()) }
    })
    .await;
}

#[tokio::test]
async fn a_call_ends_when_its_caller_no_longer_waits() {
    let address = shared_product().await.variable("MEDHUB__GRPC__LISTEN");
    let url = format!("http://{address}/medhub.tasks.v1.TaskService/ListTasks");
    for (deadline, status) in [("0n", "4"), ("soon", "3"), ("1M", "16")] {
        // Over HTTP/1.1, where the deadline is ours alone to keep; the message is empty.
        let call = reqwest::Client::new().post(&url).header("content-type", "application/grpc").body(vec![0; 5]);
        let answer = call.header("grpc-timeout", deadline).send().await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], status, "{deadline}");
    }
}
