//! Opportunities that are cancelled, archived, and opened again.

use serde_json::{Value, json};
use tests::Stack;

use super::{AWARD, DISCOVER, bariatric_bed, told};

const ID: &str = "036:36C24526Q0001";

/// Gives a command about the opportunity; answers with its status in the read model once that has come as far.
async fn status_after(stack: &Stack, mutation: &str, variables: Value) -> Value {
    let outcome = told(stack, mutation, variables).await;
    let token = outcome["consistencyToken"].as_str().unwrap_or_else(|| panic!("{outcome}")).to_owned();
    let seen = "query($id: String!) { opportunity(id: $id) { status } }";
    let answer = stack.graphql_within(&token, seen, json!({ "id": ID })).await;
    answer["data"]["opportunity"]["status"].clone()
}

#[tokio::test]
async fn an_opportunity_is_cancelled_archived_and_opened_again_by_an_award() {
    let stack = Stack::start().await;
    told(&stack, DISCOVER, bariatric_bed("manual-1")).await;
    let cancel = "mutation($id: String!) { outcome: cancelOpportunity(id: $id, reason: \"no funds\") {
        ... on OpportunityAccepted { version consistencyToken } ... on OpportunityRejected { rule } } }";
    let archive = "mutation($id: String!) { outcome: archiveOpportunity(id: $id) {
        ... on OpportunityAccepted { version consistencyToken } ... on OpportunityRejected { rule } } }";
    let award = AWARD.replace("id version", "id version consistencyToken");
    let id = json!({ "id": ID });

    assert_eq!(status_after(&stack, cancel, id.clone()).await, "CANCELLED");
    assert_eq!(status_after(&stack, archive, id.clone()).await, "ARCHIVED");
    assert_eq!(told(&stack, cancel, id.clone()).await["rule"], "ARCHIVED");
    let won = json!({ "input": { "id": ID, "number": "36C24526C0099", "amount": "100" } });
    assert_eq!(status_after(&stack, &award, won).await, "AWARDED");
    assert_eq!(told(&stack, cancel, json!({ "id": "036:UNKNOWN" })).await["rule"], "NOT_DISCOVERED");

    let verified = stack.medhub(&["verify"]).await;
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}
