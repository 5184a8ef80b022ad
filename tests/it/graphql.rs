//! GraphQL as a frontend uses it: commands with their refusals, errors with codes, a playground without the internet.

mod changes;
mod client_documents;
mod opportunity_history;
mod opportunity_lifecycle;
mod opportunity_lists;

use serde_json::{Value, json};
use tests::{ProductHandle, shared_product};

pub(crate) const DISCOVER_MUTATION: &str =
    "mutation($input: DiscoverOpportunityInput!) { outcome: discoverOpportunity(input: $input) {
    __typename ... on OpportunityAccepted { id version } ... on OpportunityRejected { rule reason }
} }";
pub(crate) const AMEND_MUTATION: &str =
    "mutation($input: AmendOpportunityInput!) { outcome: amendOpportunity(input: $input) {
    __typename ... on OpportunityAccepted { id version } ... on OpportunityRejected { rule reason }
} }";
pub(crate) const AWARD_MUTATION: &str =
    "mutation($input: AwardOpportunityInput!) { outcome: awardOpportunity(input: $input) {
    __typename ... on OpportunityAccepted { id version } ... on OpportunityRejected { rule reason }
} }";

/// The input of an opportunity with this solicitation number, as entered by hand.
pub(crate) fn bed_opportunity_input(notice: &str, number: &str) -> Value {
    json!({ "input": {
        "noticeId": notice,
        "title": "Bariatric beds with built-in scale",
        "type": "Solicitation",
        "agency": "VETERANS AFFAIRS, DEPARTMENT OF",
        "solicitationNumber": number,
        "postedAt": "2026-03-03T12:00:00Z",
        "responseDeadline": "2026-03-20T17:00:00Z",
        "psc": "6530",
    } })
}

/// Sends a mutation as the operator and returns its field `outcome`, accepted or rejected.
pub(crate) async fn send_mutation(product: &ProductHandle, mutation: &str, variables: Value) -> Value {
    let answer = product.send_graphql(mutation, variables).await;
    assert!(answer["errors"].is_null(), "{answer}");
    answer["data"]["outcome"].clone()
}

#[tokio::test]
async fn invalid_input_is_refused_with_a_code() {
    let product = shared_product().await;
    let mut without_agency = bed_opportunity_input("manual-3", "36C24526Q0001");
    without_agency["input"]["agency"] = json!(" ,. ");
    let answer = product.send_graphql(DISCOVER_MUTATION, without_agency).await;
    let extensions = &answer["errors"][0]["extensions"];
    assert_eq!(extensions["code"], "INVALID_INPUT", "{answer}");
    assert_eq!(extensions["field"], "input.agency", "{answer}");

    let unknown = json!({ "input": { "id": "036:UNKNOWN", "title": "x" } });
    assert_eq!(send_mutation(product, AMEND_MUTATION, unknown).await["__typename"], "OpportunityRejected");

    let too_many = product.send_graphql("{ opportunities(first: 101) { totalCount } }", json!({})).await;
    assert_eq!(too_many["errors"][0]["extensions"]["code"], "INVALID_INPUT", "{too_many}");
    let deep = format!("{{ {} __typename {} }}", "... { ".repeat(60), "}".repeat(60));
    let deep = product.send_graphql(&deep, json!({})).await;
    assert!(deep["errors"].is_array(), "{deep}");
    let missing = product.send_graphql("{ opportunity(id: \"036:UNKNOWN\") { id } }", json!({})).await;
    assert_eq!(missing["data"]["opportunity"], Value::Null, "{missing}");
}

#[tokio::test]
async fn the_playground_needs_no_internet() {
    let product = shared_product().await;
    let http = product.http();
    let client = tests::new_http_client();
    let page = client.get(format!("{http}/graphql")).header("accept", "text/html").send().await.unwrap();
    let page = page.text().await.unwrap();
    let assets: Vec<_> = page.split(['"', '\'']).filter(|text| text.starts_with("/assets/")).collect();
    assert!(assets.len() >= 4, "{page}");
    for asset in assets {
        let answer = client.get(format!("{http}{asset}")).send().await.unwrap();
        assert!(answer.status().is_success(), "{asset}: {}", answer.status());
    }
    assert!(!page.contains("https://"), "{page}");
    let escape = client.get(format!("{http}/assets/..%2f..%2fetc%2fpasswd")).send().await.unwrap();
    assert!(escape.status().is_client_error(), "{}", escape.status());
}
