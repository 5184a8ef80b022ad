//! Isolation of tenants: a company can neither see, change nor detect aggregates of another one.

use serde_json::{Value, json};
use tests::{GraphqlSubscriber, ProductHandle, SignedInUser, error_code, shared_product, unique_name};

/// A query for everything that a company owns.
const QUERY_EVERYTHING: &str =
    "query($id: UUID!) { proposal(id: $id) { id } resource(id: $id) { id } document(id: $id) { id }
    task(id: $id) { id } proposalGeneration(id: $id) { id } proposals { totalCount } resources { totalCount } documents { totalCount }
    tasks { totalCount } savedOpportunities { opportunityId } savedSearches { id } notifications { totalCount }
    proposalGenerations(proposalId: $id) { totalCount } }";

#[tokio::test]
async fn aggregates_of_another_company_answer_like_missing_ones() {
    let (product, company) = (shared_product().await, unique_name("acme"));
    let ann = SignedInUser::register_company(product, "ann", &company).await;
    let eve = SignedInUser::register_company(product, "eve", &unique_name("other")).await;
    let draft = "draftProposal(input: { opportunityId: \"036:X\", title: \"Secret plan\" })";
    let proposal = ann.apply_change(draft, json!({})).await;
    ann.apply_change(
        "createResource(id: $id, input: { name: \"Prices\", kind: PRICE_LIST, body: \"Secret prices\" })",
        json!({ "id": proposal.id }),
    )
    .await;
    let saved = ann.apply_change("saveOpportunity(opportunityId: \"036:X\")", json!({})).await;
    let own = ann.query_since(&saved, "{ proposals { totalCount } resources { totalCount } }", json!({})).await;
    assert_eq!(own, json!({ "proposals": { "totalCount": 1 }, "resources": { "totalCount": 1 } }));

    // An aggregate of another tenant answers like a missing one.
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
    let [foreign, missing] = [proposal.id.as_str(), unknown].map(|id| json!({ "id": id }));
    assert_eq!(
        eve.send_document(QUERY_EVERYTHING, foreign.clone()).await,
        eve.send_document(QUERY_EVERYTHING, missing.clone()).await
    );
    let withdraw = "mutation($id: UUID!) { outcome: withdrawProposal(proposalId: $id, reason: \"x\") {
        ... on Accepted { version } ... on Rejected { rule reason } } }";
    let (foreign_outcome, missing_outcome) =
        (eve.send_mutation(withdraw, foreign.clone()).await, eve.send_mutation(withdraw, missing.clone()).await);
    assert_eq!((&foreign_outcome["rule"], &foreign_outcome), (&json!("NOT_FOUND"), &missing_outcome));

    a_user_without_membership_is_refused_alike_for_any_company(product, &company, &foreign).await;
    a_subscriber_gets_only_changes_of_its_own_company(product, &ann, &eve).await;
    a_registered_company_cannot_be_registered_again(product, &company, &eve).await;
    only_operators_change_public_data(product, &eve).await;
}

/// A token of a user who is no member, for an existing company and for one that does not exist.
async fn a_user_without_membership_is_refused_alike_for_any_company(
    product: &ProductHandle,
    company: &str,
    foreign: &Value,
) {
    let mut answers = vec![];
    for tenant in [company, "no-such-company"] {
        let stranger = SignedInUser::login(product, "mallory", Some(tenant)).await;
        let profile = stranger.send_document("{ company { name } }", json!({})).await;
        answers.push((stranger.send_document(QUERY_EVERYTHING, foreign.clone()).await, profile));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!((error_code(&answers[0].0), error_code(&answers[0].1)), ("FORBIDDEN", "FORBIDDEN"));
}

async fn a_subscriber_gets_only_changes_of_its_own_company(
    product: &ProductHandle,
    ann: &SignedInUser<'_>,
    eve: &SignedInUser<'_>,
) {
    // From before the first event, so that the time at which the subscription begins does not matter.
    let draft = "draftProposal(input: { opportunityId: \"036:X\", title: \"Another\" })";
    let (hers, other) = (eve.apply_change(draft, json!({})).await, ann.apply_change(draft, json!({})).await);
    let document = format!(
        "subscription {{ proposalChanges(after: \"{}\") {{ proposalId kind by proposal {{ title }} }} }}",
        first_cursor(&hers.token)
    );
    let payload = json!({ "authorization": format!("Bearer {}", eve.token) });
    let mut subscription = GraphqlSubscriber::subscribe(product.http(), payload, &document).await.unwrap();
    let last = eve.apply_change(draft, json!({})).await;

    for expected in [&hers, &last] {
        let change = subscription.next_answer().await.unwrap().unwrap()["data"]["proposalChanges"].clone();
        assert_eq!((&change["proposalId"], &change["by"]), (&json!(expected.id), &json!("eve")), "{change}");
        assert_eq!(change["proposal"]["title"], "Another");
        assert_ne!(change["proposalId"], json!(other.id));
    }
    let anonymous = GraphqlSubscriber::subscribe(product.http(), json!({}), &document)
        .await
        .unwrap()
        .next_answer()
        .await
        .unwrap()
        .unwrap();
    assert_eq!(error_code(&anonymous), "UNAUTHENTICATED");
}

/// A cursor before the first event of the token's log.
fn first_cursor(token: &str) -> String {
    let incarnation = token.split('.').next().unwrap();
    format!("{incarnation}.0")
}

async fn a_registered_company_cannot_be_registered_again(
    product: &ProductHandle,
    company: &str,
    eve: &SignedInUser<'_>,
) {
    let register = "mutation($tenant: String!) { outcome: registerCompany(tenant: $tenant, name: \"Mine\") {
        ... on Accepted { version } ... on Rejected { rule } } }";
    assert_eq!(eve.send_mutation(register, json!({ "tenant": company })).await["rule"], "ALREADY_REGISTERED");
    for reserved in ["public", "system", "Acme", "a:b"] {
        assert_eq!(
            error_code(&eve.send_document(register, json!({ "tenant": reserved })).await),
            "INVALID_INPUT",
            "{reserved}"
        );
    }
    let anonymous = product.send_graphql_as(None, register, json!({ "tenant": "mine" })).await;
    assert_eq!(error_code(&anonymous), "UNAUTHENTICATED");
}

async fn only_operators_change_public_data(product: &ProductHandle, eve: &SignedInUser<'_>) {
    let archive = "mutation { archiveOpportunity(id: \"036:X\") { __typename } }";
    assert_eq!(error_code(&eve.send_document(archive, json!({})).await), "FORBIDDEN");
    assert_eq!(error_code(&product.send_graphql_as(None, archive, json!({})).await), "FORBIDDEN");
    let operator = product
        .send_graphql(
            "mutation { outcome: archiveOpportunity(id: \"036:X\") { ... on OpportunityRejected { rule } } }",
            json!({}),
        )
        .await;
    assert_eq!(operator["data"]["outcome"]["rule"], "NOT_DISCOVERED");
    let owning =
        "mutation { outcome: draftProposal(input: { opportunityId: \"036:X\", title: \"x\" }) { __typename } }";
    assert_eq!(error_code(&product.send_graphql(owning, json!({})).await), "FORBIDDEN", "an operator has no company");
}
