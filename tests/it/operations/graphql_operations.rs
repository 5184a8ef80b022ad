//! Operations over GraphQL: available to operators, refused for all others.

use super::*;
use tests::{GraphqlSubscriber, eventually};

const PROGRESS_SUBSCRIPTION: &str =
    "subscription { rebuildProgress { id state error parts { projection phase position target } } }";

fn error_code(answer: &Value) -> &Value {
    &answer["errors"][0]["extensions"]["code"]
}

fn bearer_payload(token: &str) -> Value {
    json!({ "authorization": format!("Bearer {token}") })
}

/// All answers of a subscription to a rebuild's progress.
async fn collect_rebuild_progress(product: &ProductHandle, payload: Value) -> Vec<Value> {
    let mut subscription = GraphqlSubscriber::subscribe(product.http(), payload, PROGRESS_SUBSCRIPTION).await.unwrap();
    let mut answers = vec![];
    while let Some(answer) = subscription.next_answer().await.unwrap() {
        answers.push(answer);
    }
    answers
}

#[tokio::test]
async fn operators_rebuild_watch_and_roll_back_over_graphql_and_others_may_not() {
    let product = start_product_with_notices().await;
    let token = product.variable("MEDHUB__ADMIN__TOKEN").to_owned();

    for document in [
        "{ projections { projection } }",
        "{ rebuild { id } }",
        "mutation { rebuildProjections { id } }",
        "mutation { rollbackProjections { projection } }",
    ] {
        let answer = product.send_graphql_as(None, document, json!({})).await;
        assert_eq!(error_code(&answer), "FORBIDDEN", "{document}: {answer}");
        for token in ["Bearer", "correct-horse-battery-staple", &token[..31]] {
            let answer = product.send_graphql_as(Some(token), document, json!({})).await;
            assert_eq!(error_code(&answer), "UNAUTHENTICATED", "{document}: {answer}");
        }
    }
    let refused = GraphqlSubscriber::subscribe(
        product.http(),
        bearer_payload("correct-horse-battery-staple"),
        PROGRESS_SUBSCRIPTION,
    )
    .await;
    assert!(refused.is_err(), "an invalid token opens no connection");
    for payload in [json!({}), Value::Null, json!({ "authorization": 7 })] {
        let answers = collect_rebuild_progress(&product, payload).await;
        assert_eq!((answers.len(), error_code(&answers[0])), (1, &json!("FORBIDDEN")), "{answers:?}");
    }
    let operator = async |document: &str| product.send_graphql_as(Some(&token), document, json!({})).await;

    assert_eq!(operator("{ rebuild { id } }").await["data"], json!({ "rebuild": null }));
    assert_eq!(
        collect_rebuild_progress(&product, bearer_payload(&token)).await,
        Vec::<Value>::new(),
        "there was no rebuild yet"
    );
    for name in ["vews", "live"] {
        let unknown = operator(&format!("mutation {{ rebuildProjections(projections: [\"{name}\"]) {{ id }} }}")).await;
        assert_eq!(
            (error_code(&unknown), &unknown["errors"][0]["extensions"]["field"]),
            (&json!("INVALID_INPUT"), &json!("projections")),
            "{name}"
        );
    }
    let nothing = operator("mutation { rollbackProjections(projections: [\"views\"]) { projection } }").await;
    assert_eq!(error_code(&nothing), "CONFLICT", "{nothing}");

    let both = "mutation { first: rebuildProjections { id state startedBy parts { projection } }
        second: rebuildProjections { id } }";
    let started = operator(both).await;
    assert_eq!(error_code(&started), "CONFLICT", "only one rebuild at a time: {started}");
    let progress = collect_rebuild_progress(&product, bearer_payload(&token)).await;
    let last = &progress.last().unwrap()["data"]["rebuildProgress"];
    assert_eq!((&last["state"], &last["error"]), (&json!("SWITCHED"), &Value::Null), "{progress:?}");
    assert_eq!(last["parts"].as_array().unwrap().len(), 5, "{last}");
    assert!(progress.len() > 1, "intermediate progress is reported: {progress:?}");

    let live =
        operator("{ projections { projection generation live } rebuild { state startedBy } }").await["data"].clone();
    let rows = live["projections"].as_array().unwrap();
    let active: Vec<_> = rows.iter().filter(|row| row["live"] == true).map(|row| &row["generation"]).collect();
    let read_models = ["analytics", "lists", "search", "views", "workspace"];
    let names = rows.iter().filter(|row| row["live"] == true).map(|row| row["projection"].as_str().unwrap());
    let expected: Vec<_> = names.map(|name| if read_models.contains(&name) { json!(2) } else { json!(1) }).collect();
    assert_eq!((active, rows.len()), (expected.iter().collect(), 12 + read_models.len()), "{live}");
    assert_eq!(live["rebuild"], json!({ "state": "SWITCHED", "startedBy": "operator" }));
    // Readers are switched first; dropping older generations takes longer, and until then a rollback is refused.
    let back = eventually(async || {
        let back = operator("mutation { rollbackProjections { projection generation previous } }").await;
        back["data"]["rollbackProjections"].as_array().cloned().ok_or(back)
    })
    .await;
    assert_eq!(back.len(), 5);
    assert!(back.iter().all(|row| row["generation"] == 1 && row["previous"] == 2), "{back:?}");
}

#[tokio::test]
async fn a_websocket_of_another_protocol_is_refused() {
    let product = shared_product().await;
    let response = tests::new_http_client()
        .get(format!("{}/graphql", product.http()))
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-protocol", "graphql-ws")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 400);
    assert!(response.text().await.unwrap().contains("graphql-transport-ws"));
}
