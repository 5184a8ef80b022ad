//! The lifecycle of opportunities: cancelled, archived, and opened again.

use serde_json::{Value, json};

use super::{AWARD_MUTATION, DISCOVER_MUTATION, bed_opportunity_input, send_mutation};
use tests::{ProductHandle, shared_product};

const SOLICITATION_NUMBER: &str = "36C24526Q7200";
const OPPORTUNITY_ID: &str = "036:36C24526Q7200";

/// Sends a mutation for the opportunity; returns its status in the read model that includes the change.
async fn change_and_read_status(product: &ProductHandle, mutation: &str, variables: Value) -> Value {
    let outcome = send_mutation(product, mutation, variables).await;
    let token = outcome["consistencyToken"].as_str().unwrap_or_else(|| panic!("{outcome}")).to_owned();
    let read = "query($id: String!) { opportunity(id: $id) { status } }";
    let answer = product.send_graphql_since(&token, read, json!({ "id": OPPORTUNITY_ID })).await;
    answer["data"]["opportunity"]["status"].clone()
}

#[tokio::test]
async fn an_opportunity_is_cancelled_archived_and_opened_again_by_an_award() {
    let product = shared_product().await;
    send_mutation(product, DISCOVER_MUTATION, bed_opportunity_input("closing-1", SOLICITATION_NUMBER)).await;
    let cancel = "mutation($id: String!) { outcome: cancelOpportunity(id: $id, reason: \"no funds\") {
        ... on OpportunityAccepted { version consistencyToken } ... on OpportunityRejected { rule } } }";
    let archive = "mutation($id: String!) { outcome: archiveOpportunity(id: $id) {
        ... on OpportunityAccepted { version consistencyToken } ... on OpportunityRejected { rule } } }";
    let award = AWARD_MUTATION.replace("id version", "id version consistencyToken");
    let id = json!({ "id": OPPORTUNITY_ID });

    assert_eq!(change_and_read_status(product, cancel, id.clone()).await, "CANCELLED");
    assert_eq!(change_and_read_status(product, archive, id.clone()).await, "ARCHIVED");
    assert_eq!(send_mutation(product, cancel, id.clone()).await["rule"], "ARCHIVED");
    let input = json!({ "input": { "id": OPPORTUNITY_ID, "number": "36C24526C0099", "amount": "100" } });
    assert_eq!(change_and_read_status(product, &award, input).await, "AWARDED");
    assert_eq!(send_mutation(product, cancel, json!({ "id": "036:UNKNOWN" })).await["rule"], "NOT_DISCOVERED");

    let verified = product.run_medhub(&["verify"]).await;
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}
