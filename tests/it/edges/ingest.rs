//! Views and clicks: taken in once, asked for again, and never lost once they were acknowledged.

use std::time::Duration;

use serde_json::{Value, json};
use tests::{Environment, Stack, eventually};

use super::{Answer, request};
use crate::tenants::Person;

fn view(session: &str, page: &str, at: &str) -> Value {
    json!({ "type": "view", "sessionId": session, "pageUrl": page, "opportunityId": "036:X", "at": at })
}

async fn send(stack: &Stack, token: Option<&str>, body: &Value) -> Answer {
    Answer::to(request(stack, "POST", "/ingest", token).json(body)).await
}

async fn asked(stack: &Stack, token: &str, query: &str) -> (Vec<Value>, String) {
    let answer = Answer::to(request(stack, "GET", &format!("/analytics/events?{query}"), Some(token))).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.body);
    (answer.body["events"].as_array().unwrap().clone(), answer.header("x-cache").to_owned())
}

#[tokio::test]
async fn what_was_done_is_told_once_answered_from_memory_and_never_too_old() {
    let stack = Stack::start().await;
    let admin = Person::found(&stack, "ada", "acme").await;
    let eve = Person::found(&stack, "eve", "other").await;
    let issue = "mutation { issueApiKey(input: { name: \"web\", scopes: [INGEST] }) { key } }";
    let key = admin.ask(issue, json!({})).await["data"]["issueApiKey"]["key"].as_str().unwrap().to_owned();

    let mut first = view("s1", "/p", "2026-03-03T12:00:00Z");
    first["userId"] = json!("bob");
    let mut click = json!({ "type": "click", "sessionId": "s1", "pageUrl": "/p", "targetUrl": "https://sam.gov/x", "at": "2026-03-03T12:00:01Z" });
    click["userId"] = json!("bob");
    let batch = json!({ "events": [first, click] });
    assert_eq!(send(&stack, Some(&key), &batch).await.body, json!({ "accepted": 2 }));
    assert_eq!(send(&stack, Some(&key), &batch).await.status.as_u16(), 200, "told again, it is not counted again");
    let own = send(&stack, Some(&admin.token), &view("s2", "/p", "2026-03-03T12:00:02Z")).await;
    assert_eq!(own.status.as_u16(), 200);
    let public = send(&stack, None, &view("s1", "/p", "2026-03-03T12:00:03Z")).await;
    assert_eq!(public.status.as_u16(), 200, "visitors are counted, too");

    eventually(Duration::from_secs(30), async || {
        let (events, _) = asked(&stack, &admin.token, "page_url=/p").await;
        if events.len() == 3 { Ok(()) } else { Err(format!("{events:?}")) }
    })
    .await;
    let (bobs, _) = asked(&stack, &admin.token, "user_id=bob").await;
    let kinds: Vec<_> = bobs.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["click", "view"], "{bobs:?}");
    assert_eq!(asked(&stack, &admin.token, "user_id=ada").await.0.len(), 1, "a member is told about as themselves");
    assert_eq!(asked(&stack, &eve.token, "page_url=/p").await.0, Vec::<Value>::new(), "others see nothing of it");
    assert_eq!(asked(&stack, &eve.token, "user_id=bob").await.0, Vec::<Value>::new());
    assert_eq!(asked(&stack, &stack.operators_token(), "page_url=/p").await.0.len(), 1, "visitors are nobody's");

    eventually(Duration::from_secs(30), async || {
        let (_, cache) = asked(&stack, &admin.token, "user_id=bob").await;
        if cache == "hit" { Ok(()) } else { Err(cache) }
    })
    .await;
    let mut more = view("s1", "/q", "2026-03-03T12:01:00Z");
    more["userId"] = json!("bob");
    assert_eq!(send(&stack, Some(&key), &more).await.status.as_u16(), 200);
    // As soon as the worker has seen it, nothing older is answered; and what is kept then has it.
    eventually(Duration::from_secs(30), async || {
        let (events, cache) = asked(&stack, &admin.token, "user_id=bob").await;
        if (events.len(), cache.as_str()) == (3, "hit") { Ok(()) } else { Err(format!("{cache}: {events:?}")) }
    })
    .await;
    what_cannot_be_is_refused(&stack, &key, &admin.token).await;
    let verified = stack.medhub(&["verify"]).await;
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

async fn what_cannot_be_is_refused(stack: &Stack, key: &str, member: &str) {
    let at = "2026-03-03T12:00:00Z";
    for (field, event) in [
        ("sessionId", json!({ "type": "view", "sessionId": "acme:s1", "pageUrl": "/p" })),
        ("sessionId", view("", "/p", at)),
        ("pageUrl", view("s", " ", at)),
        ("at", view("s", "/p", "2999-01-01T00:00:00Z")),
        ("opportunityId", json!({ "type": "view", "sessionId": "s", "pageUrl": "/p", "opportunityId": "nothing" })),
        ("targetUrl", json!({ "type": "view", "sessionId": "s", "pageUrl": "/p", "targetUrl": "/x" })),
    ] {
        let answer = send(stack, Some(key), &event).await;
        assert_eq!((answer.status.as_u16(), &answer.body["field"]), (400, &json!(field)), "{event}: {}", answer.body);
        let batch = json!({ "events": [view("s", "/p", at), event] });
        let answer = send(stack, Some(key), &batch).await;
        assert_eq!(answer.body["field"], format!("events[1].{field}"), "{}", answer.body);
    }
    let mut others = view("s", "/p", at);
    others["userId"] = json!("bob");
    for token in [None, Some(member)] {
        assert_eq!(send(stack, token, &others).await.body["field"], "userId");
    }
    for odd in
        [json!([]), json!({ "events": [] }), json!({ "type": "eaten", "sessionId": "s", "pageUrl": "/p" }), json!(7)]
    {
        assert_eq!(send(stack, Some(key), &odd).await.status.as_u16(), 400, "{odd}");
    }
    assert_eq!(send(stack, Some("mhk_x"), &view("s", "/p", at)).await.status.as_u16(), 401);
}

#[tokio::test]
async fn a_full_buffer_says_so_and_what_was_acknowledged_survives_a_kill() {
    let mut environment = Environment::new();
    environment.insert("MEDHUB__INGEST__BUFFER_EVENTS".into(), "100".into());
    environment.insert("MEDHUB__LIMITS__ENABLED".into(), "false".into());
    let mut stack = Stack::with(&[], environment).await;
    let many = |session: &str, count: usize| {
        let events: Vec<_> =
            (0..count).map(|number| view(session, &format!("/{number}"), "2026-03-03T12:00:00Z")).collect();
        json!({ "events": events })
    };
    let too_many = send(&stack, None, &many("full", 101)).await;
    assert_eq!((too_many.status.as_u16(), too_many.code(), too_many.header("retry-after")), (429, "BUFFER_FULL", "1"));

    let mut acknowledged = 0;
    for session in 0..20 {
        let answer = send(&stack, None, &many(&format!("kept-{session}"), 50)).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.body);
        acknowledged += 50;
    }
    stack.kill9_everything().await;
    let stack = stack.restart().await;
    let events = stack.medhub(&["status", "--json"]).await;
    let told: Value = serde_json::from_slice(&events.stdout).unwrap();
    assert_eq!(told["postgres"]["events"], acknowledged, "{told}");
    let quick = request(&stack, "POST", "/ingest", None).header("prefer", "respond-async").json(&many("quick", 50));
    assert_eq!(Answer::to(quick).await.status.as_u16(), 202);
    eventually(Duration::from_secs(10), async || {
        let status = stack.medhub(&["status", "--json"]).await;
        let told: Value = serde_json::from_slice(&status.stdout).map_err(|error| error.to_string())?;
        if told["postgres"]["events"] == acknowledged + 50 { Ok(()) } else { Err(told.to_string()) }
    })
    .await;
}
