//! Ingest across a crash or a stop of the whole stack: every acknowledged fact is in the log.

use serde_json::{Value, json};
use tests::{EnvironmentVariables, HttpResponse, TestStack, build_request, eventually};

fn view_event(session: &str, page: &str) -> Value {
    json!({ "type": "view", "sessionId": session, "pageUrl": page, "opportunityId": "036:X" })
}

async fn send_events(stack: &TestStack, body: &Value) -> HttpResponse {
    HttpResponse::from_request(build_request(stack, "POST", "/ingest", None).json(body)).await
}

#[tokio::test]
async fn a_full_buffer_is_refused_and_acknowledged_facts_survive_a_kill() {
    let mut environment = EnvironmentVariables::new();
    environment.insert("MEDHUB__INGEST__BUFFER_EVENTS".into(), "100".into());
    environment.insert("MEDHUB__INGEST__ASYNC_EVENTS".into(), "60".into());
    environment.insert("MEDHUB__LIMITS__ENABLED".into(), "false".into());
    let mut stack = TestStack::start_with(&[], environment).await;
    let many = |session: &str, count: usize| {
        let events: Vec<_> = (0..count).map(|number| view_event(session, &format!("/{number}"))).collect();
        json!({ "events": events })
    };
    let too_many = send_events(&stack, &many("full", 101)).await;
    assert_eq!(
        (too_many.status.as_u16(), too_many.problem_code(), too_many.header("retry-after")),
        (429, "BUFFER_FULL", "1")
    );

    let mut acknowledged = 0_u64;
    for session in 0..20 {
        let answer = send_events(&stack, &many(&format!("session-{session}"), 50)).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.body);
        acknowledged += 50;
    }
    stack.kill9_all_processes().await;
    let stack = stack.restart().await;
    let output = stack.run_medhub(&["status", "--json"]).await;
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status["postgres"]["events"], acknowledged, "{status}");
    let send_async = async |stack: &TestStack, body: &Value| {
        HttpResponse::from_request(
            build_request(stack, "POST", "/ingest", None).header("prefer", "respond-async").json(body),
        )
        .await
    };
    let quick = send_async(&stack, &many("quick", 50)).await;
    assert_eq!((quick.status.as_u16(), quick.header("preference-applied")), (202, "respond-async"));
    wait_for_events(&stack, acknowledged + 50).await;
    let waited = send_async(&stack, &many("waited", 80)).await;
    assert_eq!(waited.status.as_u16(), 200, "above the limit for early acknowledgement: {}", waited.body);
    acknowledged += 130;

    assert_eq!(send_async(&stack, &many("last", 50)).await.status.as_u16(), 202);
    let (stack, status) = stack.stop().await;
    assert!(status.success(), "{status}");
    let stack = stack.restart().await;
    wait_for_events(&stack, acknowledged + 50).await;
}

async fn wait_for_events(stack: &TestStack, expected: u64) {
    eventually(async || {
        let output = stack.run_medhub(&["status", "--json"]).await;
        let status: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
        if status["postgres"]["events"] == expected { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
}
