//! GraphQL documents as common clients and people write them.

use serde_json::json;
use tests::{shared_product, unique_name};

#[tokio::test]
async fn escapes_are_decoded_and_an_empty_cursor_means_the_first_page() {
    let product = shared_product().await;
    let input = json!({ "noticeId": unique_name("n"), "solicitationNumber": unique_name("s"), "title": "Beds",
        "type": "Solicitation", "postedAt": "2026-03-03T12:00:00Z", "agency": "VETERANS AFFAIRS, DEPARTMENT OF" });
    let discover = "mutation($input: DiscoverOpportunityInput!) { discoverOpportunity(input: $input) {
        ... on OpportunityAccepted { id } } }";
    let discovered = product.send_graphql(discover, json!({ "input": input })).await;
    let id =
        discovered["data"]["discoverOpportunity"]["id"].as_str().unwrap_or_else(|| panic!("{discovered}")).to_owned();
    let amend = format!(
        r#"mutation {{ amendOpportunity(input: {{ id: "{id}", title: "\uD83D\uDE00 \u{{1F600}} \u00e9" }}) {{
            ... on OpportunityAccepted {{ consistencyToken }} }} }}"#
    );
    let amended = product.send_graphql(&amend, json!({})).await;
    let token = amended["data"]["amendOpportunity"]["consistencyToken"].as_str();
    let token = token.unwrap_or_else(|| panic!("{amended}"));
    let read = "query($id: String!) { opportunity(id: $id) { facts { title } } opportunities(first: 1, after: \"\") {
        edges { cursor } pageInfo { hasPreviousPage } } }";
    let answer = product.send_graphql_since(token, read, json!({ "id": id })).await;
    assert_eq!(answer["data"]["opportunity"]["facts"]["title"], "😀 😀 é", "{answer}");
    let page = &answer["data"]["opportunities"];
    assert_eq!(
        (page["edges"].as_array().map(Vec::len), &page["pageInfo"]["hasPreviousPage"]),
        (Some(1), &json!(false))
    );
}
