//! The time until an opportunity that is entered by hand shows in every read model.

use std::time::Duration;

use serde_json::json;
use tests::{ProductInstance, eventually_within, run_alone};

use crate::graphql::{AMEND_MUTATION, AWARD_MUTATION, DISCOVER_MUTATION, bed_opportunity_input, send_mutation};

/// Limit for the time from a mutation's answer until every read model shows the change.
const VISIBILITY_LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn an_opportunity_is_entered_amended_and_awarded_by_hand_and_shows_in_every_read_model() {
    run_alone();
    let product = ProductInstance::start().await;

    let entered = send_mutation(&product, DISCOVER_MUTATION, bed_opportunity_input("manual-1", "36C24526Q0001")).await;
    assert_eq!(entered, json!({ "__typename": "OpportunityAccepted", "id": "036:36C24526Q0001", "version": 1 }));
    let id = &entered["id"];
    assert_eq!(
        send_mutation(&product, DISCOVER_MUTATION, bed_opportunity_input("manual-1", "36C24526Q0001")).await,
        entered,
        "a repetition changes nothing"
    );
    let refused = send_mutation(&product, DISCOVER_MUTATION, bed_opportunity_input("manual-2", "36C24526Q0001")).await;
    assert_eq!(refused["__typename"], "OpportunityRejected", "{refused}");

    let change = json!({ "input": { "id": id, "responseDeadline": "2026-03-27T17:00:00Z" } });
    let amended = send_mutation(&product, AMEND_MUTATION, change.clone()).await;
    assert_eq!(amended["version"], 3, "an amendment and a moved deadline: {amended}");
    assert_eq!(send_mutation(&product, AMEND_MUTATION, change).await, amended, "a repetition changes nothing");
    let award = json!({ "input": { "id": id, "number": "36C24526C0099", "amount": "81930000" } });
    assert_eq!(send_mutation(&product, AWARD_MUTATION, award).await["version"], 4);

    let read = "query($id: String!) {
        opportunity(id: $id) { version status facts { responseDeadline } awards { number amount } }
        opportunities(filter: { text: \"bariatric\" }) { totalCount edges { node { id awarded } } }
        searchOpportunities(query: \"hospital beds\", first: 1) { id awarded }
        opportunityStats { total { opportunities awardedOpportunities awarded } }
    }";
    let expected = json!({
        "opportunity": {
            "version": 4, "status": "AWARDED", "facts": { "responseDeadline": "2026-03-27T17:00:00+00:00" },
            "awards": [{ "number": "36C24526C0099", "amount": "81930000" }],
        },
        "opportunities": { "totalCount": 1, "edges": [{ "node": { "id": id, "awarded": "81930000" } }] },
        "searchOpportunities": [{ "id": id, "awarded": true }],
        "opportunityStats": { "total": { "opportunities": 1, "awardedOpportunities": 1, "awarded": "81930000" } },
    });
    eventually_within(VISIBILITY_LIMIT, async || {
        let answer = product.send_graphql(read, json!({ "id": id })).await;
        if answer["data"] == expected { Ok(()) } else { Err(format!("{answer:#}\nexpected {expected:#}")) }
    })
    .await;
}
