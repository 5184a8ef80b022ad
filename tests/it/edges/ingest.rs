//! Views and clicks: recorded once, queried by analysts, and never lost after their acknowledgement.

use chrono::{SecondsFormat, TimeDelta};
use domain::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use tests::{HttpResponse, ProductHandle, ProductInstance, SignedInUser, build_request, eventually, shared_product};
use uuid::Uuid;

/// Some seconds after noon of yesterday: events older than a year are refused, so a fixed day would become too old.
fn time_yesterday(seconds: i64) -> String {
    let noon = (SystemClock.now() - TimeDelta::days(1)).date_naive().and_hms_opt(12, 0, 0).unwrap().and_utc();
    (noon + TimeDelta::seconds(seconds)).to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn view_event(session: &str, page: &str, at: &str) -> Value {
    json!({ "type": "view", "sessionId": session, "pageUrl": page, "opportunityId": "036:X", "at": at })
}

async fn send_events(product: &ProductHandle, token: Option<&str>, body: &Value) -> HttpResponse {
    HttpResponse::from_request(build_request(product, "POST", "/ingest", token).json(body)).await
}

/// The events that analytics answers, and the response's `x-cache`.
async fn query_recorded_events(product: &ProductHandle, token: &str, query: &str) -> (Vec<Value>, String) {
    let answer =
        HttpResponse::from_request(build_request(product, "GET", &format!("/analytics/events?{query}"), Some(token)))
            .await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.body);
    (answer.body["events"].as_array().unwrap().clone(), answer.header("x-cache").to_owned())
}

#[tokio::test]
async fn ingested_events_are_counted_once_and_the_response_cache_is_never_outdated() {
    let product = ProductInstance::start().await;
    let admin = SignedInUser::register_company(&product, "ada", "acme").await;
    let eve = SignedInUser::register_company(&product, "eve", "other").await;
    let issue = "mutation { issueApiKey(input: { name: \"web\", scopes: [INGEST] }) { key } }";
    let key = admin.send_document(issue, json!({})).await["data"]["issueApiKey"]["key"].as_str().unwrap().to_owned();

    let mut first = view_event("s1", "/p", &time_yesterday(0));
    first["userId"] = json!("bob");
    let mut click = json!({ "type": "click", "sessionId": "s1", "pageUrl": "/p", "targetUrl": "https://sam.gov/x", "at": time_yesterday(1) });
    click["userId"] = json!("bob");
    let batch = json!({ "events": [first, click] });
    assert_eq!(send_events(&product, Some(&key), &batch).await.body, json!({ "accepted": 2 }));
    assert_eq!(
        send_events(&product, Some(&key), &batch).await.status.as_u16(),
        200,
        "a repetition is accepted and not counted again"
    );
    let own = send_events(&product, Some(&admin.token), &view_event("s2", "/p", &time_yesterday(2))).await;
    assert_eq!(own.status.as_u16(), 200);
    let public = send_events(&product, None, &view_event("s1", "/p", &time_yesterday(3))).await;
    assert_eq!(public.status.as_u16(), 200, "events of anonymous visitors are accepted");

    eventually(async || {
        let (events, _) = query_recorded_events(&product, &admin.token, "page_url=/p").await;
        if events.len() == 3 { Ok(()) } else { Err(format!("{events:?}")) }
    })
    .await;
    let (bobs, _) = query_recorded_events(&product, &admin.token, "user_id=bob").await;
    let kinds: Vec<_> = bobs.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["click", "view"], "{bobs:?}");
    assert_eq!(
        query_recorded_events(&product, &admin.token, "user_id=ada").await.0.len(),
        1,
        "a member's events have their own user id"
    );
    assert_eq!(
        query_recorded_events(&product, &eve.token, "page_url=/p").await.0,
        Vec::<Value>::new(),
        "other tenants see none of them"
    );
    assert_eq!(query_recorded_events(&product, &eve.token, "user_id=bob").await.0, Vec::<Value>::new());
    // Anonymous visitors belong to no company, and their view may arrive later than those of others.
    eventually(async || {
        let (events, _) = query_recorded_events(&product, product.operator_token(), "page_url=/p").await;
        if events.len() == 1 { Ok(()) } else { Err(format!("{events:?}")) }
    })
    .await;

    eventually(async || {
        let (_, cache) = query_recorded_events(&product, &admin.token, "user_id=bob").await;
        if cache == "hit" { Ok(()) } else { Err(cache) }
    })
    .await;
    let mut more = view_event("s1", "/q", &time_yesterday(60));
    more["userId"] = json!("bob");
    assert_eq!(send_events(&product, Some(&key), &more).await.status.as_u16(), 200);
    // Once the worker has processed it, no older answer is given, and the cached one includes it.
    eventually(async || {
        let (events, cache) = query_recorded_events(&product, &admin.token, "user_id=bob").await;
        if (events.len(), cache.as_str()) == (3, "hit") { Ok(()) } else { Err(format!("{cache}: {events:?}")) }
    })
    .await;
    invalid_events_are_refused(&product, &key, &admin.token).await;
    let verified = product.run_medhub(&["verify"]).await;
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

async fn invalid_events_are_refused(product: &ProductHandle, key: &str, member: &str) {
    let at = &time_yesterday(0);
    for (field, event) in [
        ("sessionId", json!({ "type": "view", "sessionId": "acme:s1", "pageUrl": "/p" })),
        ("sessionId", view_event("", "/p", at)),
        ("pageUrl", view_event("s", " ", at)),
        ("at", view_event("s", "/p", "2999-01-01T00:00:00Z")),
        ("at", view_event("s", "/p", "1970-01-01T00:00:00Z")),
        ("id", json!({ "type": "view", "sessionId": "s", "pageUrl": "/p", "id": "x".repeat(101) })),
        ("opportunityId", json!({ "type": "view", "sessionId": "s", "pageUrl": "/p", "opportunityId": "nothing" })),
        ("targetUrl", json!({ "type": "view", "sessionId": "s", "pageUrl": "/p", "targetUrl": "/x" })),
    ] {
        let answer = send_events(product, Some(key), &event).await;
        assert_eq!((answer.status.as_u16(), &answer.body["field"]), (400, &json!(field)), "{event}: {}", answer.body);
        let batch = json!({ "events": [view_event("s", "/p", at), event.clone()] });
        let answer = send_events(product, Some(key), &batch).await;
        assert_eq!((answer.status.as_u16(), &answer.body["accepted"]), (200, &json!(1)), "{}", answer.body);
        let refused = &answer.body["refused"][0];
        assert_eq!((&refused["index"], &refused["field"]), (&json!(1), &json!(field)), "{}", answer.body);
        let batch = json!({ "events": [event] });
        let answer = send_events(product, Some(key), &batch).await;
        assert_eq!((answer.status.as_u16(), &answer.body["field"]), (400, &json!(format!("events[0].{field}"))));
    }
    let mut of_another_user = view_event("s", "/p", at);
    of_another_user["userId"] = json!("bob");
    for token in [None, Some(member)] {
        assert_eq!(send_events(product, token, &of_another_user).await.body["field"], "userId");
    }
    for malformed in
        [json!([]), json!({ "events": [] }), json!({ "type": "eaten", "sessionId": "s", "pageUrl": "/p" }), json!(7)]
    {
        assert_eq!(send_events(product, Some(key), &malformed).await.status.as_u16(), 400, "{malformed}");
    }
    assert_eq!(send_events(product, Some("mhk_x"), &view_event("s", "/p", at)).await.status.as_u16(), 401);
}

/// The pages of a visit's recorded events, in their order.
async fn query_recorded_pages(product: &ProductHandle, session: &str) -> Vec<String> {
    let replay = product.run_medhub(&["replay", "--aggregate", session]).await;
    assert!(replay.status.success(), "{}", String::from_utf8_lossy(&replay.stderr));
    let lines = String::from_utf8(replay.stdout).unwrap();
    let events = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut pages: Vec<_> = events
        .map(|event| {
            let payload = &event["payload"];
            (event["sequence"].as_u64().unwrap(), payload["page_url"].as_str().unwrap().to_owned())
        })
        .collect();
    pages.sort();
    let (sequences, pages): (Vec<_>, Vec<_>) = pages.into_iter().unzip();
    assert_eq!(sequences, (1..=sequences.len() as u64).collect::<Vec<_>>(), "without gaps");
    pages
}

#[tokio::test]
async fn a_repeated_event_is_recorded_once_and_a_different_one_is_recorded_too() {
    let product = shared_product().await;
    let session = format!("again-{}", Uuid::new_v4());
    let events: Vec<_> =
        (0..300).map(|page| view_event(&session, &format!("/{page:03}"), &time_yesterday(page))).collect();
    for part in [&events[..], &events[..50], &events[..]] {
        let answer = send_events(product, None, &json!({ "events": part })).await;
        assert_eq!(answer.body, json!({ "accepted": part.len() }));
    }
    assert_eq!(query_recorded_pages(product, &session).await.len(), 300);

    let session = format!("twins-{}", Uuid::new_v4());
    let about = |opportunity: &str, page: &str| json!({ "type": "view", "sessionId": session, "pageUrl": page, "opportunityId": opportunity, "at": time_yesterday(0) });
    let two = json!({ "events": [about("036:A", "/list"), about("036:B", "/list"), about("036:A", "/list")] });
    assert_eq!(send_events(product, None, &two).await.body, json!({ "accepted": 3 }));
    assert_eq!(query_recorded_pages(product, &session).await, ["/list", "/list"], "two opportunities on one page");
    let named = |page: &str| json!({ "type": "view", "id": "e1", "sessionId": session, "pageUrl": page });
    for page in ["/named", "/named"] {
        assert_eq!(send_events(product, None, &named(page)).await.status.as_u16(), 200);
    }
    assert_eq!(
        query_recorded_pages(product, &session).await,
        ["/list", "/list", "/named"],
        "recognised by its id, without a time"
    );
}

#[tokio::test]
async fn every_refused_event_of_a_batch_is_named_and_the_others_are_recorded() {
    let product = shared_product().await;
    let session = format!("mixed-{}", Uuid::new_v4());
    let mut events: Vec<_> =
        (0..20).map(|page| view_event(&session, &format!("/{page:02}"), &time_yesterday(page))).collect();
    events[3]["userAgent"] = json!("x");
    events[7].as_object_mut().unwrap().remove("pageUrl");
    events[11]["at"] = json!((SystemClock.now() + TimeDelta::minutes(6)).to_rfc3339());
    events[13] = json!("no event");
    let answer = send_events(product, None, &json!({ "events": events })).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.body);
    assert_eq!(answer.body["accepted"], 16);
    let refused: Vec<_> = answer.body["refused"].as_array().unwrap().iter().collect();
    let refusals: Vec<_> =
        refused.iter().map(|item| (item["index"].as_u64().unwrap(), item["field"].as_str().unwrap())).collect();
    assert_eq!(refusals, [(3, "userAgent"), (7, "pageUrl"), (11, "at"), (13, "")]);
    assert!(refused.iter().all(|item| !item["reason"].as_str().unwrap().is_empty()), "{refused:?}");
    assert_eq!(query_recorded_pages(product, &session).await.len(), 16);

    // A browser's beacon has the media type of text; and the largest batch fits into the largest body.
    let beacon = build_request(product, "POST", "/ingest", None).header("content-type", "text/plain;charset=UTF-8");
    let beacon = beacon.body(view_event(&format!("{session}-b"), "/p", &time_yesterday(0)).to_string());
    assert_eq!(HttpResponse::from_request(beacon).await.status.as_u16(), 200);
    let long = "x".repeat(2_000);
    let many: Vec<_> = (0..5_000)
        .map(|n| view_event(&format!("{session}-{n}"), &format!("/{n}/{long}"), &time_yesterday(0)))
        .collect();
    assert_eq!(send_events(product, None, &json!({ "events": many })).await.body, json!({ "accepted": 5_000 }));
}

#[tokio::test]
async fn a_visit_has_a_maximum_length_and_views_of_unknown_opportunities_are_marked() {
    let product = shared_product().await;
    let session = format!("long-{}", Uuid::new_v4());
    let page = |number: usize| view_event(&session, &format!("/{number}"), &time_yesterday(0));
    for part in 0..2 {
        let events: Vec<_> = (part * 5_000..(part + 1) * 5_000).map(page).collect();
        assert_eq!(send_events(product, None, &json!({ "events": events })).await.body, json!({ "accepted": 5_000 }));
    }
    let last =
        json!({ "events": [page(0), page(10_000), view_event(&format!("{session}-2"), "/p", &time_yesterday(0))] });
    let answer = send_events(product, None, &last).await;
    assert_eq!(answer.body["accepted"], 2, "a known event and one of another visit are accepted: {}", answer.body);
    let refused = &answer.body["refused"][0];
    assert_eq!((&refused["index"], &refused["field"]), (&json!(1), &json!("sessionId")), "{}", answer.body);
    assert_eq!(send_events(product, None, &page(10_001)).await.body["field"], "sessionId");

    let replay = product.run_medhub(&["replay", "--aggregate", &format!("{session}-2")]).await;
    let event: Value = serde_json::from_slice(&replay.stdout).unwrap();
    assert_eq!(event["metadata"]["about_unknown"], true, "{event}");
}
