//! Ingest when everything is killed at once: what was acknowledged is on record.

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
    environment.insert("MEDHUB__LIMITS__ENABLED".into(), "false".into());
    let mut stack = TestStack::with(&[], environment).await;
    let many = |session: &str, count: usize| {
        let events: Vec<_> = (0..count).map(|number| view(session, &format!("/{number}"))).collect();
        json!({ "events": events })
    };
    let too_many = send(&stack, &many("full", 101)).await;
    assert_eq!((too_many.status.as_u16(), too_many.code(), too_many.header("retry-after")), (429, "BUFFER_FULL", "1"));

    let mut acknowledged = 0;
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
    let quick = request(&stack, "POST", "/ingest", None).header("prefer", "respond-async").json(&many("quick", 50));
    assert_eq!(HttpResponse::to(quick).await.status.as_u16(), 202);
    eventually(async || {
        let status = stack.medhub(&["status", "--json"]).await;
        let told: Value = serde_json::from_slice(&status.stdout).map_err(|error| error.to_string())?;
        if told["postgres"]["events"] == acknowledged + 50 { Ok(()) } else { Err(told.to_string()) }
    })
    .await;
}
