//! Subscriptions to changes, without a gap over broken connections; and reads of one's own writes.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use super::{AMEND_MUTATION, DISCOVER_MUTATION, send_mutation};
use tests::{
    EnvironmentVariables, GraphqlSubscriber, ProductHandle, ProductInstance, TestStack, error_code,
    faults::engine_faults::EngineFaults, shared_product, unique_name,
};

fn opportunity_input(number: u32) -> Value {
    json!({ "input": {
        "noticeId": format!("manual-{number}"),
        "title": "Patient lifts",
        "type": "Solicitation",
        "agency": "VETERANS AFFAIRS, DEPARTMENT OF",
        "solicitationNumber": format!("36C24526Q{number:04}"),
        "postedAt": "2026-03-03T12:00:00Z",
    } })
}

fn opportunity_id(number: u32) -> String {
    format!("036:36C24526Q{number:04}")
}

async fn enter_opportunities(product: &ProductHandle, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let outcome = send_mutation(product, DISCOVER_MUTATION, opportunity_input(number)).await;
        assert_eq!(outcome["__typename"], "OpportunityAccepted", "{outcome}");
    }
}

/// Enters an opportunity, which may be repeated; returns the consistency token of the change, which is a cursor, too.
async fn enter_opportunity(product: &ProductHandle, number: u32) -> String {
    let discover = "mutation($input: DiscoverOpportunityInput!) { outcome: discoverOpportunity(input: $input) {
        ... on OpportunityAccepted { consistencyToken } } }";
    send_mutation(product, discover, opportunity_input(number)).await["consistencyToken"].as_str().unwrap().to_owned()
}

fn after_argument(cursor: &str) -> String {
    format!("(after: \"{cursor}\")")
}

async fn subscribe(product: &ProductHandle, arguments: &str) -> GraphqlSubscriber {
    let document = format!(
        "subscription {{ opportunityChanges{arguments} {{
            cursor opportunityId version kind consistencyToken opportunity {{ id version facts {{ title }} }}
        }} }}"
    );
    GraphqlSubscriber::subscribe(product.http(), json!({}), &document).await.unwrap()
}

async fn next_change(subscription: &mut GraphqlSubscriber) -> Value {
    let answer = subscription.next_answer().await.unwrap().expect("the subscription continues");
    assert!(answer["errors"].is_null(), "{answer}");
    answer["data"]["opportunityChanges"].clone()
}

#[tokio::test]
async fn a_subscriber_that_reconnects_with_a_cursor_misses_no_change_and_gets_none_twice() {
    let product = ProductInstance::start().await;
    let mut first = subscribe(&product, &after_argument(&enter_opportunity(&product, 99).await)).await;
    enter_opportunities(&product, 0..5).await;
    let mut changes = vec![];
    for _ in 0..3 {
        changes.push(next_change(&mut first).await);
    }
    let cursor = changes[2]["cursor"].as_str().unwrap().to_owned();
    drop(first);
    enter_opportunities(&product, 5..8).await;

    let mut second = subscribe(&product, &after_argument(&cursor)).await;
    for _ in 3..8 {
        changes.push(next_change(&mut second).await);
    }
    enter_opportunities(&product, 8..10).await;
    for _ in 8..10 {
        changes.push(next_change(&mut second).await);
    }

    let ids: Vec<_> = changes.iter().map(|change| change["opportunityId"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, (0..10).map(opportunity_id).collect::<Vec<_>>());
    for change in &changes {
        assert_eq!(change["kind"], "DISCOVERED");
        assert_eq!(change["opportunity"]["id"], change["opportunityId"], "the read model has the change: {change}");
    }
    let cursors: BTreeSet<_> = changes.iter().map(|change| change["cursor"].as_str().unwrap()).collect();
    assert_eq!(cursors.len(), 10);
}

#[tokio::test]
async fn a_subscriber_gets_only_changes_of_the_opportunities_it_names() {
    let product = shared_product().await;
    let (unnamed, named) = (7400, 7401);
    enter_opportunities(product, unnamed..named).await;
    let cursor = enter_opportunity(product, named).await;
    let mut subscription =
        subscribe(product, &format!("(after: \"{cursor}\", ids: [\"{}\"])", opportunity_id(named))).await;

    for number in [unnamed, named] {
        let change = json!({ "input": { "id": opportunity_id(number), "title": "Patient lifts and slings" } });
        send_mutation(product, AMEND_MUTATION, change).await;
    }

    let change = next_change(&mut subscription).await;
    assert_eq!(
        (&change["opportunityId"], &change["kind"]),
        (&json!(opportunity_id(named)), &json!("AMENDED")),
        "{change}"
    );
    assert_eq!(change["opportunity"]["facts"]["title"], "Patient lifts and slings");
    for invalid in ["(ids: [])", "(after: \"x\")", "(after: \"00000000000000000000000000000000.1\")"] {
        let mut refused = subscribe(product, invalid).await;
        let answer = refused.next_answer().await.unwrap().unwrap();
        assert_eq!(answer["errors"][0]["extensions"]["code"], "INVALID_INPUT", "{invalid}: {answer}");
    }
}

#[tokio::test]
async fn a_query_with_a_consistency_token_reads_the_change_in_every_read_model() {
    let product = ProductInstance::start().await;
    let read = "query($id: String!) {
        opportunity(id: $id) { version }
        opportunities(filter: { text: \"lifts\" }) { totalCount }
        searchOpportunities(query: \"patient lift\") { id }
    }";
    for number in 0..10_u32 {
        let token = enter_opportunity(&product, number).await;
        let answer = product.send_graphql_since(&token, read, json!({ "id": opportunity_id(number) })).await;
        assert!(answer["errors"].is_null(), "{answer}");
        let data = &answer["data"];
        assert_eq!(data["opportunity"]["version"], 1, "{answer}");
        assert_eq!(data["opportunities"]["totalCount"], number + 1, "{answer}");
        let found = data["searchOpportunities"].as_array().unwrap();
        assert!(found.iter().any(|hit| hit["id"] == opportunity_id(number)), "{answer}");
    }

    let answer = product.send_graphql_since("nonsense", read, json!({ "id": opportunity_id(0) })).await;
    assert_eq!(error_code(&answer), "INVALID_INPUT");
}

#[tokio::test]
async fn a_token_that_no_read_model_reaches_in_time_is_refused() {
    let environment = EnvironmentVariables::from([("MEDHUB__HTTP__CONSISTENCY_WAIT_MS".into(), "500".into())]);
    let product = ProductInstance::start_with(environment).await;
    let mut ahead: Vec<_> = enter_opportunity(&product, 0).await.splitn(3, '.').map(str::to_owned).collect();
    ahead[1] = "99999999".to_owned();
    for read in [
        "query($id: String!) { opportunity(id: $id) { version } }",
        "{ opportunities(filter: { text: \"lifts\" }) { totalCount } }",
        "{ searchOpportunities(query: \"patient lift\") { id } }",
    ] {
        let answer = product.send_graphql_since(&ahead.join("."), read, json!({ "id": opportunity_id(0) })).await;
        assert_eq!(error_code(&answer), "NOT_YET", "{read}");
    }
}

#[tokio::test]
async fn a_change_with_an_idempotency_key_is_made_once_and_an_outdated_one_is_refused() {
    let (product, number) = (shared_product().await, 7402);
    enter_opportunities(product, number..number + 1).await;
    let amend = "mutation($input: AmendOpportunityInput!, $conditions: ChangeConditions) {
        outcome: amendOpportunity(input: $input, conditions: $conditions) { ... on OpportunityAccepted { version } } }";
    let titled = |title: &str, conditions: Value| json!({ "input": { "id": opportunity_id(number), "title": title }, "conditions": conditions });

    let key = json!({ "idempotencyKey": unique_name("k") });
    let first = send_mutation(product, amend, titled("Lifts", key.clone())).await;
    send_mutation(product, amend, titled("Ramps", Value::Null)).await;
    assert_eq!(
        send_mutation(product, amend, titled("Lifts", key.clone())).await,
        first,
        "the repetition has the first outcome"
    );
    let code = |answer: &Value| answer["errors"][0]["extensions"].clone();
    let reused = product.send_graphql(amend, titled("Beds", key)).await;
    assert_eq!(code(&reused)["code"], "IDEMPOTENCY_KEY_REUSED", "{reused}");
    let process_key = json!({ "idempotencyKey": "document-analysis.01890a5d-ac96-774b-bcce-b302099a8057.0" });
    let reserved = product.send_graphql(amend, titled("Beds", process_key)).await;
    assert_eq!(code(&reserved)["code"], "INVALID_INPUT", "{reserved}");
    let outdated = product.send_graphql(amend, titled("Beds", json!({ "expectedVersion": 1 }))).await;
    assert_eq!(code(&outdated), json!({ "code": "CONFLICT", "currentVersion": 3 }), "{outdated}");
    let current = send_mutation(product, amend, titled("Beds", json!({ "expectedVersion": 3 }))).await;
    assert_eq!(current["version"], 4);
}

#[tokio::test]
async fn a_paused_redis_delays_changes_and_loses_none() {
    let stack = TestStack::start().await;
    let cursor = enter_opportunity(&stack, 99).await;
    let document = format!("subscription {{ opportunityChanges{} {{ opportunityId }} }}", after_argument(&cursor));
    let mut subscription = GraphqlSubscriber::subscribe(stack.http(), json!({}), &document).await.unwrap();
    let received = async {
        enter_opportunities(&stack, 0..3).await;
        let mut ids = vec![];
        for _ in 0..3 {
            ids.push(next_change(&mut subscription).await["opportunityId"].as_str().unwrap().to_owned());
        }
        ids
    };

    let ids = tokio::select! {
        ids = received => ids,
        _ = EngineFaults(&stack).pause_for("redis", Duration::from_secs(50)) => panic!("no changes while Redis was paused"),
    };

    assert_eq!(ids, (0..3).map(opportunity_id).collect::<Vec<_>>());
}
