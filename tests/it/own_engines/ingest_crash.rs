//! Ingest when everything is killed at once, or stopped: what was acknowledged is on record.

use serde_json::{Value, json};
use tests::{EnvironmentVariables, HttpResponse, TestStack, eventually, request};

fn view(session: &str, page: &str) -> Value {
    json!({ "type": "view", "sessionId": session, "pageUrl": page, "opportunityId": "036:X" })
}

async fn send(stack: &TestStack, body: &Value) -> HttpResponse {
    HttpResponse::to(request(stack, "POST", "/ingest", None).json(body)).await
}

#[tokio::test]
async fn a_full_buffer_says_so_and_what_was_acknowledged_survives_a_kill() {
    let mut environment = EnvironmentVariables::new();
    environment.insert("MEDHUB__INGEST__BUFFER_EVENTS".into(), "100".into());
    environment.insert("MEDHUB__INGEST__ASYNC_EVENTS".into(), "60".into());
    environment.insert("MEDHUB__LIMITS__ENABLED".into(), "false".into());
    let mut stack = TestStack::with(&[], environment).await;
    let many = |session: &str, count: usize| {
        let events: Vec<_> = (0..count).map(|number| view(session, &format!("/{number}"))).collect();
        json!({ "events": events })
    };
    let too_many = send(&stack, &many("full", 101)).await;
    assert_eq!((too_many.status.as_u16(), too_many.code(), too_many.header("retry-after")), (429, "BUFFER_FULL", "1"));

    let mut acknowledged = 0_u64;
    for session in 0..20 {
        let answer = send(&stack, &many(&format!("kept-{session}"), 50)).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.body);
        acknowledged += 50;
    }
    stack.kill9_everything().await;
    let stack = stack.restart().await;
    let events = stack.medhub(&["status", "--json"]).await;
    let told: Value = serde_json::from_slice(&events.stdout).unwrap();
    assert_eq!(told["postgres"]["events"], acknowledged, "{told}");
    let send_async = async |stack: &TestStack, body: &Value| {
        HttpResponse::to(request(stack, "POST", "/ingest", None).header("prefer", "respond-async").json(body)).await
    };
    let quick = send_async(&stack, &many("quick", 50)).await;
    assert_eq!((quick.status.as_u16(), quick.header("preference-applied")), (202, "respond-async"));
    wait_for_events(&stack, acknowledged + 50).await;
    let patient = send_async(&stack, &many("patient", 80)).await;
    assert_eq!(patient.status.as_u16(), 200, "more than may be acknowledged at once: {}", patient.body);
    acknowledged += 130;

    assert_eq!(send_async(&stack, &many("last", 50)).await.status.as_u16(), 202);
    let (stack, status) = stack.stop().await;
    assert!(status.success(), "{status}");
    let stack = stack.restart().await;
    wait_for_events(&stack, acknowledged + 50).await;
}

async fn wait_for_events(stack: &TestStack, expected: u64) {
    eventually(async || {
        let status = stack.medhub(&["status", "--json"]).await;
        let told: Value = serde_json::from_slice(&status.stdout).map_err(|error| error.to_string())?;
        if told["postgres"]["events"] == expected { Ok(()) } else { Err(told.to_string()) }
    })
    .await;
}
