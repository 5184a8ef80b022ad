//! Rate limits. They are per minute, so a slow run would never reach them; therefore this test runs alone.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::{
    EnvironmentVariables, GraphqlSubscriber, HttpResponse, ProductHandle, ProductInstance, ProposalEditor,
    SignedInUser, build_request, error_code, run_alone,
};

/// Each product has limits of its own. All start at the same time, before any limit is counted.
#[tokio::test]
async fn rate_limits_hold_for_requests_of_every_kind() {
    run_alone();
    let (few, websocket, costs) = tokio::join!(
        start_product(&[("PER_ADDRESS", "5"), ("PER_USER", "20"), ("REFUSED_TOKENS", "3")]),
        start_product(&[("PER_USER", "6")]),
        start_product(&[
            ("PER_ADDRESS", "200"),
            ("PER_USER", "40"),
            ("REFUSED_TOKENS", "3"),
            ("EVENTS_PER_REQUEST", "10")
        ]),
    );
    tokio::join!(
        a_rate_limited_request_is_answered_with_the_time_to_retry(few),
        documents_over_a_websocket_count_as_requests(websocket),
        charges_grow_with_cost_and_a_user_is_one_caller_for_all_companies(costs),
    );
}

/// Starts a product with these limits, which pages of one other origin may use.
async fn start_product(limits: &[(&str, &str)]) -> ProductInstance {
    let mut environment: EnvironmentVariables =
        limits.iter().map(|(name, value)| (format!("MEDHUB__LIMITS__{name}"), (*value).to_owned())).collect();
    environment.insert("MEDHUB__HTTP__CORS_ORIGINS".into(), "https://app.example.org".into());
    ProductInstance::start_with(environment).await
}

async fn a_rate_limited_request_is_answered_with_the_time_to_retry(product: ProductInstance) {
    let client = tests::new_http_client();
    let ask = async |token: Option<&str>| {
        let mut request =
            client.post(format!("{}/graphql", product.http())).json(&json!({ "query": "{ __typename }" }));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.header("origin", "https://app.example.org").send().await.unwrap();
        (answer.status(), answer.headers().clone(), answer.json::<Value>().await.unwrap())
    };
    let ann = SignedInUser::login(&product, "ann", None).await;

    let mut statuses = vec![];
    for _ in 0..6 {
        statuses.push(ask(None).await.0.as_u16());
    }
    assert_eq!(statuses[..4], [200; 4], "one of the five was the login");
    assert_eq!(statuses[5], 429, "{statuses:?}");
    let (status, headers, answer) = ask(None).await;
    assert_eq!(
        (status.as_u16(), error_code(&answer), &headers["ratelimit-limit"]),
        (429, "RATE_LIMITED", &"5".parse().unwrap())
    );
    let wait: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=12).contains(&wait), "{wait}");

    // The limit of one address does not affect others: users and operators have counts of their own.
    let (status, headers, _) = ask(Some(&ann.token)).await;
    assert_eq!((status.as_u16(), &headers["ratelimit-limit"]), (200, &"20".parse().unwrap()));
    assert_eq!(headers["access-control-allow-origin"], "https://app.example.org");
    assert_eq!(ask(Some(product.operator_token())).await.0, StatusCode::OK);
    let mut guesses = vec![];
    for _ in 0..5 {
        guesses.push(ask(Some("guess")).await.0.as_u16());
    }
    assert_eq!(guesses, [401, 401, 401, 429, 429]);
}

async fn documents_over_a_websocket_count_as_requests(product: ProductInstance) {
    let ann = SignedInUser::login(&product, "ann", None).await;
    let payload = json!({ "authorization": format!("Bearer {}", ann.token) });
    let mut connection = GraphqlSubscriber::subscribe(product.http(), payload, "{ __typename }").await.unwrap();

    let mut answers = vec![];
    for number in 0..12 {
        answers.push(connection.send_document(&format!("document-{number}"), "{ __typename }").await.unwrap());
    }

    assert_eq!(answers[0]["data"]["__typename"], "Query", "{answers:?}");
    assert_eq!(error_code(&answers[11]), "RATE_LIMITED", "{answers:?}");
    let request = tests::new_http_client().post(format!("{}/graphql", product.http())).bearer_auth(&ann.token);
    let status = request.json(&json!({ "query": "{ __typename }" })).send().await.unwrap().status();
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "WebSocket and HTTP share one count");
    editor_messages_count_as_requests(&product).await;
}

/// Messages of a proposal's editors.
async fn editor_messages_count_as_requests(product: &ProductHandle) {
    let bea = SignedInUser::register_company(product, "bea", "acme").await;
    let draft = "draftProposal(input: { opportunityId: \"036:36C24526Q0001\", title: \"Beds\", outline: [] })";
    let proposal = bea.apply_change(draft, json!({})).await;
    let protocols = format!("medhub-together, bearer.{}", bea.token);
    let mut editor = ProposalEditor::open(product.http(), &proposal.id, &protocols).await.unwrap();
    for number in 0..10 {
        // Sending fails once the product has closed the connection; the reason is read below.
        let _sent = editor.send_awareness(7, number, &json!({ "cursor": number })).await;
    }
    let (code, reason) = editor.wait_until_closed().await.unwrap();
    assert!(code == 4429 && reason.contains("too many"), "{code} {reason}");
}

async fn charges_grow_with_cost_and_a_user_is_one_caller_for_all_companies(product: ProductInstance) {
    let remaining = |answer: &HttpResponse| answer.header("ratelimit-remaining").parse::<i64>().unwrap();
    let ask = async |token: &str, tenant: Option<&str>| {
        let mut request =
            build_request(&product, "POST", "/graphql", Some(token)).json(&json!({ "query": "{ __typename }" }));
        if let Some(tenant) = tenant {
            request = request.header("x-medhub-tenant", tenant);
        }
        HttpResponse::from_request(request).await
    };

    // A user is one caller for all companies that headers name.
    let mallory = SignedInUser::login(&product, "mallory", None).await;
    let mut counts = vec![];
    for number in 0..10 {
        counts.push(remaining(&ask(&mallory.token, Some(&format!("company-{number}"))).await));
    }
    assert!(counts[9] <= counts[0] - 7, "{counts:?}");

    // Invalid keys are limited, and do not affect a key that was accepted before.
    let ann = SignedInUser::register_company(&product, "ann", "acme").await;
    let issue = "mutation { issueApiKey(input: { name: \"web\", scopes: [READ] }) { key } }";
    let key = ann.send_document(issue, json!({})).await["data"]["issueApiKey"]["key"].as_str().unwrap().to_owned();
    assert_eq!(ask(&key, None).await.status, StatusCode::OK);
    let mut guesses = vec![];
    for number in 0..5 {
        let id = uuid::Uuid::new_v4();
        let guess = format!("mhk_company-{number}.{id}.{}", "a".repeat(64));
        guesses.push(ask(&guess, None).await.status.as_u16());
    }
    assert_eq!(guesses, [401, 401, 401, 429, 429]);
    assert_eq!(ask(&key, None).await.status, StatusCode::OK);

    // A batch is charged by its number of events.
    let batch = |events: usize| {
        let event = |number| json!({ "type": "view", "sessionId": format!("s{number}"), "pageUrl": "/p" });
        json!({ "events": (0..events).map(event).collect::<Vec<_>>() })
    };
    let send = async |events| {
        HttpResponse::from_request(build_request(&product, "POST", "/ingest", None).json(&batch(events))).await
    };
    let (one, hundred) = (send(1).await, send(100).await);
    assert_eq!((one.status, hundred.status), (StatusCode::OK, StatusCode::OK), "{}", hundred.body);
    assert!(remaining(&hundred) <= remaining(&one) - 6, "{} {}", remaining(&one), remaining(&hundred));
    let too_many = send(2_000).await;
    assert_eq!((too_many.status, too_many.problem_code()), (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"));
    assert!(!too_many.header("retry-after").is_empty());
}
