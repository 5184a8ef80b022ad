//! Views and clicks: taken in once, asked for again, and never lost once they were acknowledged.

use serde_json::{Value, json};
use tests::{HttpAnswer, Person, Product, ProductInstance, eventually, request};

fn view(session: &str, page: &str, at: &str) -> Value {
    json!({ "type": "view", "sessionId": session, "pageUrl": page, "opportunityId": "036:X", "at": at })
}

async fn send(product: &Product, token: Option<&str>, body: &Value) -> HttpAnswer {
    HttpAnswer::to(request(product, "POST", "/ingest", token).json(body)).await
}

/// What analytics answers, and whether from the response cache.
async fn recorded_events(product: &Product, token: &str, query: &str) -> (Vec<Value>, String) {
    let answer = HttpAnswer::to(request(product, "GET", &format!("/analytics/events?{query}"), Some(token))).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.body);
    (answer.body["events"].as_array().unwrap().clone(), answer.header("x-cache").to_owned())
}

#[tokio::test]
async fn what_was_done_is_told_once_answered_from_memory_and_never_too_old() {
    let product = ProductInstance::start().await;
    let admin = Person::found(&product, "ada", "acme").await;
    let eve = Person::found(&product, "eve", "other").await;
    let issue = "mutation { issueApiKey(input: { name: \"web\", scopes: [INGEST] }) { key } }";
    let key = admin.ask(issue, json!({})).await["data"]["issueApiKey"]["key"].as_str().unwrap().to_owned();

    let mut first = view("s1", "/p", "2026-03-03T12:00:00Z");
    first["userId"] = json!("bob");
    let mut click = json!({ "type": "click", "sessionId": "s1", "pageUrl": "/p", "targetUrl": "https://sam.gov/x", "at": "2026-03-03T12:00:01Z" });
    click["userId"] = json!("bob");
    let batch = json!({ "events": [first, click] });
    assert_eq!(send(&product, Some(&key), &batch).await.body, json!({ "accepted": 2 }));
    assert_eq!(send(&product, Some(&key), &batch).await.status.as_u16(), 200, "told again, it is not counted again");
    let own = send(&product, Some(&admin.token), &view("s2", "/p", "2026-03-03T12:00:02Z")).await;
    assert_eq!(own.status.as_u16(), 200);
    let public = send(&product, None, &view("s1", "/p", "2026-03-03T12:00:03Z")).await;
    assert_eq!(public.status.as_u16(), 200, "visitors are counted, too");

    eventually(async || {
        let (events, _) = recorded_events(&product, &admin.token, "page_url=/p").await;
        if events.len() == 3 { Ok(()) } else { Err(format!("{events:?}")) }
    })
    .await;
    let (bobs, _) = recorded_events(&product, &admin.token, "user_id=bob").await;
    let kinds: Vec<_> = bobs.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["click", "view"], "{bobs:?}");
    assert_eq!(
        recorded_events(&product, &admin.token, "user_id=ada").await.0.len(),
        1,
        "a member is told about as themselves"
    );
    assert_eq!(
        recorded_events(&product, &eve.token, "page_url=/p").await.0,
        Vec::<Value>::new(),
        "others see nothing of it"
    );
    assert_eq!(recorded_events(&product, &eve.token, "user_id=bob").await.0, Vec::<Value>::new());
    // Visitors belong to no company, and their view may come later than those of others.
    eventually(async || {
        let (events, _) = recorded_events(&product, product.operator_token(), "page_url=/p").await;
        if events.len() == 1 { Ok(()) } else { Err(format!("{events:?}")) }
    })
    .await;

    eventually(async || {
        let (_, cache) = recorded_events(&product, &admin.token, "user_id=bob").await;
        if cache == "hit" { Ok(()) } else { Err(cache) }
    })
    .await;
    let mut more = view("s1", "/q", "2026-03-03T12:01:00Z");
    more["userId"] = json!("bob");
    assert_eq!(send(&product, Some(&key), &more).await.status.as_u16(), 200);
    // As soon as the worker has seen it, nothing older is answered; and what is kept then has it.
    eventually(async || {
        let (events, cache) = recorded_events(&product, &admin.token, "user_id=bob").await;
        if (events.len(), cache.as_str()) == (3, "hit") { Ok(()) } else { Err(format!("{cache}: {events:?}")) }
    })
    .await;
    what_cannot_be_is_refused(&product, &key, &admin.token).await;
    let verified = product.medhub(&["verify"]).await;
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

async fn what_cannot_be_is_refused(product: &Product, key: &str, member: &str) {
    let at = "2026-03-03T12:00:00Z";
    for (field, event) in [
        ("sessionId", json!({ "type": "view", "sessionId": "acme:s1", "pageUrl": "/p" })),
        ("sessionId", view("", "/p", at)),
        ("pageUrl", view("s", " ", at)),
        ("at", view("s", "/p", "2999-01-01T00:00:00Z")),
        ("opportunityId", json!({ "type": "view", "sessionId": "s", "pageUrl": "/p", "opportunityId": "nothing" })),
        ("targetUrl", json!({ "type": "view", "sessionId": "s", "pageUrl": "/p", "targetUrl": "/x" })),
    ] {
        let answer = send(product, Some(key), &event).await;
        assert_eq!((answer.status.as_u16(), &answer.body["field"]), (400, &json!(field)), "{event}: {}", answer.body);
        let batch = json!({ "events": [view("s", "/p", at), event] });
        let answer = send(product, Some(key), &batch).await;
        assert_eq!(answer.body["field"], format!("events[1].{field}"), "{}", answer.body);
    }
    let mut others = view("s", "/p", at);
    others["userId"] = json!("bob");
    for token in [None, Some(member)] {
        assert_eq!(send(product, token, &others).await.body["field"], "userId");
    }
    for odd in
        [json!([]), json!({ "events": [] }), json!({ "type": "eaten", "sessionId": "s", "pageUrl": "/p" }), json!(7)]
    {
        assert_eq!(send(product, Some(key), &odd).await.status.as_u16(), 400, "{odd}");
    }
    assert_eq!(send(product, Some("mhk_x"), &view("s", "/p", at)).await.status.as_u16(), 401);
}
