//! `medhub trail` on the log and the tables of a database, without a running product.

use std::process::{Command, Output, Stdio};

use commands::{caller::Caller, precondition::CommandPreconditions};
use domain::{
    document::Document,
    value::{TenantId, UserId},
};
use projections::runtime::Projection as _;
use serde_json::{Value, json};
use task_workers::{TaskQueue, TaskQueueProjection};
use tests::{engines, json_lines, output_text};
use url::Url;
use uuid::Uuid;

use super::document_fixture::{DocumentFixture, TENANT, program_sender, stage_results};

/// Runs `medhub trail` on the fixture's database.
async fn run_trail(fixture: &DocumentFixture, args: &[&str]) -> Output {
    let name: String = sqlx::query_scalar("select current_database()").fetch_one(&fixture.pool).await.unwrap();
    let mut url = Url::parse(engines().await.variable("DATABASE_URL")).unwrap();
    url.set_path(&name);
    let mut command = Command::new(tests::medhub_local());
    command.args(["product", "trail"]).args(args).env("DATABASE_URL", url.as_str()).stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn trail_json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", output_text(output));
    json_lines(output).remove(0)
}

/// Each event's type and version within its stream, and the same of its parent.
fn edges(trail: &Value) -> Vec<(String, String)> {
    let events = trail["events"].as_array().unwrap();
    let name =
        |event: &Value| format!("{} {}", event["eventType"].as_str().unwrap(), event["summary"].as_str().unwrap());
    let parent = |event: &Value| {
        let found = events.iter().find(|other| other["eventId"] == event["parentId"]);
        found.map(name).unwrap_or_default()
    };
    events.iter().map(|event| (name(event), parent(event))).collect()
}

/// Uploads a document, lets the process request a task, and records the text as a worker of this program does.
async fn upload_and_extract(fixture: &DocumentFixture) -> Uuid {
    let id = fixture.upload().await;
    fixture.run_until_idle().await;
    let requested = fixture.events().await.pop().unwrap();
    let mut worker = program_sender(TENANT);
    worker.caller = Caller {
        user_id: UserId::from_program("worker"),
        tenant_id: TenantId::try_new(TENANT).unwrap(),
        correlation_id: requested.metadata.correlation_id.parse().unwrap(),
        causation_id: Some(requested.event_id),
    };
    let command = stage_results(&fixture.dispatcher, &worker)[0].clone();
    let none = CommandPreconditions::default();
    fixture.dispatcher.dispatch::<Document>(&worker, &id.to_string(), &none, command).await.unwrap();
    fixture.run_until_idle().await;
    let queue = TaskQueueProjection::new(TaskQueue::new(fixture.pool.clone()));
    let events = fixture.events().await;
    let tasks = events.iter().filter(|event| event.aggregate_type == "task");
    let changes: Vec<_> = tasks.flat_map(|event| TaskQueueProjection::project(event).unwrap()).collect();
    queue.apply(&changes).await.unwrap();
    id
}

#[tokio::test]
async fn a_trail_shows_each_event_below_its_cause_and_the_work_that_is_open() {
    let fixture = DocumentFixture::create().await;
    let id = upload_and_extract(&fixture).await;
    // Another request, which is in no trail of the first.
    fixture.upload().await;
    let uploaded = fixture.events().await.remove(0);
    let correlation = uploaded.metadata.correlation_id.as_str();

    let trail = trail_json(&run_trail(&fixture, &[correlation, "--json"]).await);
    let expected = [
        ("document.uploaded rfp.pdf", ""),
        ("task.requested extract_text", "document.uploaded rfp.pdf"),
        ("document.text_extracted ", "task.requested extract_text"),
        ("task.requested extract_requirements", "document.text_extracted "),
    ];
    assert_eq!(edges(&trail), expected.map(|(event, cause)| (event.to_owned(), cause.to_owned())), "{trail}");
    assert_eq!((&trail["correlationId"], &trail["totalEvents"]), (&json!(correlation), &json!(4)));
    let first = &trail["events"][1];
    assert_eq!(
        (&first["userId"], &first["tenantId"], &first["sequence"], &first["depth"]),
        (&json!("system:document-analysis"), &json!(TENANT), &json!(1), &json!(1))
    );
    assert!(first["offsetSeconds"].as_f64().unwrap() >= 0.0, "{first}");
    let instance = &trail["instances"][0];
    assert_eq!((&instance["instanceId"], &instance["waitsFor"]), (&json!(id), &json!("the requirements")), "{trail}");
    assert_eq!(trail["tasks"].as_array().unwrap().len(), 2, "{trail}");
    assert_eq!(trail["pendingCommands"], json!([]));

    let event = fixture.events().await[2].event_id.to_string();
    let stream = format!("{TENANT}:{id}");
    for args in [&[stream.as_str()][..], &["--tenant", TENANT, &id.to_string()], &[&event]] {
        let found = trail_json(&run_trail(&fixture, &[args, &["--json"]].concat()).await);
        assert_eq!(found["correlationId"], correlation, "{args:?}");
    }
    let text = output_text(&run_trail(&fixture, &[correlation, "--limit", "3"]).await);
    for line in ["4 events", "   └─ document.text_extracted", "… and 1 more events", "waiting for the requirements"]
    {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[tokio::test]
async fn commands_that_wait_are_shown_and_unknown_ids_are_errors() {
    let fixture = DocumentFixture::create().await;
    fixture.upload().await;
    let events = fixture.events().await;
    fixture.deliver(&events).await;
    let correlation = events[0].metadata.correlation_id.as_str();
    let trail = trail_json(&run_trail(&fixture, &[correlation, "--json"]).await);
    let command = &trail["pendingCommands"][0];
    assert_eq!(
        (&command["command"], &command["causationId"]),
        (&json!("request_task"), &json!(events[0].event_id)),
        "{trail}"
    );
    let text = output_text(&run_trail(&fixture, &[correlation]).await);
    assert!(text.contains("request_task of document-analysis acme"), "{text}");

    let unknown = Uuid::new_v4().to_string();
    for (args, expected) in [
        (&[unknown.as_str()][..], "no event has this id"),
        (&["nothing"], "no stream has this id"),
        (&[correlation, "--tenant", "other"], "in tenant other"),
    ] {
        let output = run_trail(&fixture, args).await;
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(output_text(&output).contains(expected), "{}", output_text(&output));
    }
    assert_eq!(run_trail(&fixture, &[correlation, "--limit", "0"]).await.status.code(), Some(2));
}

#[tokio::test]
async fn events_are_found_by_their_correlation_id_through_an_index() {
    let fixture = DocumentFixture::create().await;
    let mut connection = fixture.pool.acquire().await.unwrap();
    // Chosen by the planner for a large log; an empty one is scanned, unless that is forbidden.
    sqlx::query("set enable_seqscan = off").execute(&mut *connection).await.unwrap();
    let statement = concat!("explain ", include_str!("../../../eventstore/src/log/find_correlated.sql"));
    let plan: Vec<String> = sqlx::query_scalar(statement)
        .bind("c")
        .bind(None::<&str>)
        .bind(10_i64)
        .fetch_all(&mut *connection)
        .await
        .unwrap();
    assert!(plan.iter().any(|line| line.contains("events_by_correlation")), "{plan:#?}");
}
