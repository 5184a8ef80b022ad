//! How often somebody may ask: limits per minute, which a slow run would never meet.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::{Environment, Person, ProductInstance, Subscription, error_code, run_alone};

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back() {
    run_alone();
    let mut environment = Environment::new();
    for (variable, value) in [("PER_ADDRESS", "5"), ("PER_USER", "20"), ("REFUSED_TOKENS", "3")] {
        environment.insert(format!("MEDHUB__LIMITS__{variable}"), value.into());
    }
    environment.insert("MEDHUB__HTTP__CORS_ORIGINS".into(), "https://app.example.org".into());
    let product = ProductInstance::with(environment).await;
    let client = reqwest::Client::new();
    let ask = async |token: Option<&str>| {
        let mut request =
            client.post(format!("{}/graphql", product.http())).json(&json!({ "query": "{ __typename }" }));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.header("origin", "https://app.example.org").send().await.unwrap();
        (answer.status(), answer.headers().clone(), answer.json::<Value>().await.unwrap())
    };
    let ann = Person::login(&product, "ann", None).await;

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

    // Others are not held up by one address: people and operators count for themselves.
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

#[tokio::test]
async fn documents_over_a_websocket_count_as_requests_do() {
    run_alone();
    let environment = Environment::from([("MEDHUB__LIMITS__PER_USER".into(), "6".into())]);
    let product = ProductInstance::with(environment).await;
    let ann = Person::login(&product, "ann", None).await;
    let shown = json!({ "authorization": format!("Bearer {}", ann.token) });
    let mut connection = Subscription::begin(product.http(), shown, "{ __typename }").await.unwrap();

    let mut answers = vec![];
    for number in 0..12 {
        answers.push(connection.ask(&format!("document-{number}"), "{ __typename }").await.unwrap());
    }

    assert_eq!(answers[0]["data"]["__typename"], "Query", "{answers:?}");
    assert_eq!(error_code(&answers[11]), "RATE_LIMITED", "{answers:?}");
    let request = reqwest::Client::new().post(format!("{}/graphql", product.http())).bearer_auth(&ann.token);
    let status = request.json(&json!({ "query": "{ __typename }" })).send().await.unwrap().status();
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "one count for both ways");
}
