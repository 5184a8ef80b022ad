//! As-of reads and the history of opportunities.

use serde_json::{Value, json};

use super::{AMEND_MUTATION, AWARD_MUTATION, DISCOVER_MUTATION, bed_opportunity_input, send_mutation};
use tests::{ProductHandle, shared_product};

const SOLICITATION_NUMBER: &str = "36C24526Q7300";
const OPPORTUNITY_ID: &str = "036:36C24526Q7300";

async fn query_as_of(product: &ProductHandle, moment: Value) -> Value {
    let query = "query($id: String!, $moment: OpportunityMoment) {
        opportunity(id: $id, asOf: $moment) { version status facts { title } awards { number } } }";
    let answer = product.send_graphql(query, json!({ "id": OPPORTUNITY_ID, "moment": moment })).await;
    assert!(answer["errors"].is_null(), "{answer}");
    answer["data"]["opportunity"].clone()
}

#[tokio::test]
async fn an_opportunity_is_read_as_of_each_version_and_any_time() {
    let product = shared_product().await;
    send_mutation(product, DISCOVER_MUTATION, bed_opportunity_input("past-1", SOLICITATION_NUMBER)).await;
    send_mutation(
        product,
        AMEND_MUTATION,
        json!({ "input": { "id": OPPORTUNITY_ID, "title": "Beds and mattresses" } }),
    )
    .await;
    send_mutation(
        product,
        AWARD_MUTATION,
        json!({ "input": { "id": OPPORTUNITY_ID, "number": "C1", "amount": "100" } }),
    )
    .await;

    let history = "query($id: String!, $first: Int, $after: Int) {
        opportunityHistory(id: $id, first: $first, after: $after) { hasMore changes { version kind recordedAt } } }";
    let whole =
        product.send_graphql(history, json!({ "id": OPPORTUNITY_ID })).await["data"]["opportunityHistory"].clone();
    let changes = whole["changes"].as_array().unwrap().clone();
    let kinds: Vec<_> = changes.iter().map(|change| change["kind"].as_str().unwrap()).collect();
    assert_eq!((kinds, &whole["hasMore"]), (vec!["DISCOVERED", "AMENDED", "AWARDED"], &json!(false)));
    let middle = product.send_graphql(history, json!({ "id": OPPORTUNITY_ID, "first": 1, "after": 1 })).await;
    let middle = &middle["data"]["opportunityHistory"];
    assert_eq!((&middle["changes"][0], &middle["hasMore"]), (&changes[1], &json!(true)), "{middle}");

    let states = [
        json!({ "version": 1, "status": "OPEN", "facts": { "title": "Bariatric beds with built-in scale" }, "awards": [] }),
        json!({ "version": 2, "status": "OPEN", "facts": { "title": "Beds and mattresses" }, "awards": [] }),
        json!({ "version": 3, "status": "AWARDED", "facts": { "title": "Beds and mattresses" }, "awards": [{ "number": "C1" }] }),
    ];
    for (change, state) in changes.iter().zip(&states) {
        assert_eq!(query_as_of(product, json!({ "version": change["version"] })).await, *state);
        assert_eq!(
            query_as_of(product, json!({ "time": change["recordedAt"] })).await,
            *state,
            "the time itself is included"
        );
    }
    for moment in [json!({ "version": 0 }), json!({ "time": "2020-01-01T00:00:00Z" }), json!({ "version": 4 })] {
        assert_eq!(query_as_of(product, moment.clone()).await, Value::Null, "{moment}");
    }
    assert_eq!(query_as_of(product, json!({ "time": "2999-01-01T00:00:00Z" })).await, states[2]);
    let unknown = product.send_graphql(history, json!({ "id": "036:UNKNOWN" })).await;
    assert_eq!(unknown["data"]["opportunityHistory"], json!({ "hasMore": false, "changes": [] }));
    let both = json!({ "id": OPPORTUNITY_ID, "moment": { "version": 1, "time": "2020-01-01T00:00:00Z" } });
    let refused = product
        .send_graphql(
            "query($id: String!, $moment: OpportunityMoment) { opportunity(id: $id, asOf: $moment) { id } }",
            both,
        )
        .await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "INVALID_INPUT", "{refused}");
}
