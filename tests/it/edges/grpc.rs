//! Tasks over gRPC, with a client that knows only what reflection describes.

use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tests::{SignedInUser, eventually, python_command, run_program, shared_product, unique_name};
use uuid::Uuid;

/// Python's own gRPC, with a client that builds messages from reflection.
const PACKAGES: [&str; 3] = ["grpcio==1.85.1", "grpcio-reflection==1.85.1", "grpcio-health-checking==1.85.1"];

#[tokio::test]
async fn a_client_requests_tasks_and_a_worker_completes_them() {
    let product = shared_product().await;
    let admin = SignedInUser::register_company(product, "ada", &unique_name("acme")).await;
    let eve = SignedInUser::register_company(product, "eve", &unique_name("other")).await;
    let issue = |name: &str, scopes: &str| {
        format!("mutation {{ issueApiKey(input: {{ name: \"{name}\", scopes: [{scopes}] }}) {{ key }} }}")
    };
    let mut keys = vec![];
    for (name, scopes) in [("worker", "TASKS"), ("writer", "WRITE")] {
        let issued = admin.send_document(&issue(name, scopes), json!({})).await;
        keys.push(issued["data"]["issueApiKey"]["key"].as_str().unwrap_or_else(|| panic!("{issued}")).to_owned());
    }
    let address = product.variable("MEDHUB__GRPC__LISTEN").to_owned();
    let operation = Uuid::new_v4().to_string();
    let arguments = [address, keys[0].clone(), keys[1].clone(), eve.token.clone(), operation.clone()];
    let output = tokio::task::spawn_blocking(move || {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/it/edges/tasks.py");
        run_program(python_command(&PACKAGES).arg(script).args(arguments))
    });
    assert!(output.await.unwrap().contains("all checks passed"));
    let mut log = PgConnection::connect(product.variable("DATABASE_URL")).await.unwrap();
    let query = "select event_type from events
        where metadata ->> 'correlation_id' = $1 and metadata ->> 'causation_id' = $1";
    let events: Vec<String> = sqlx::query_scalar(query).bind(&operation).fetch_all(&mut log).await.unwrap();
    assert_eq!(events, ["task.started"], "correlation and causation are recorded");

    eventually(async || {
        let answer = admin.send_document("{ tasks(status: COMPLETED) { edges { node { result } } } }", json!({})).await;
        let edges = answer["data"]["tasks"]["edges"].as_array().cloned().unwrap_or_default();
        if edges.iter().any(|edge| edge["node"]["result"] == "30 pages") { Ok(()) } else { Err(answer.to_string()) }
    })
    .await;
}

#[tokio::test]
async fn a_call_ends_at_the_deadline_of_its_caller() {
    let address = shared_product().await.variable("MEDHUB__GRPC__LISTEN");
    let url = format!("http://{address}/medhub.tasks.v1.TaskService/ListTasks");
    for (deadline, status) in [("0n", "4"), ("soon", "3"), ("1M", "16")] {
        // Over HTTP/1.1, where only the server enforces the deadline; the message is empty.
        let call = tests::new_http_client().post(&url).header("content-type", "application/grpc").body(vec![0; 5]);
        let answer = call.header("grpc-timeout", deadline).send().await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], status, "{deadline}");
    }
}
