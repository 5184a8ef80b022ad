//! Two companies on one product: neither sees, changes or even finds what the other owns.

use serde_json::{Value, json};
use tests::{GraphqlSubscriber, ProductHandle, SignedInUser, error_code, shared_product, unique_name};

/// What can be asked about what a company owns.
const QUERY_EVERYTHING: &str =
    "query($id: UUID!) { proposal(id: $id) { id } resource(id: $id) { id } document(id: $id) { id }
    task(id: $id) { id } proposals { totalCount } resources { totalCount } documents { totalCount }
    tasks { totalCount } savedOpportunities { opportunityId } savedSearches { id } notifications { totalCount } }";

#[tokio::test]
async fn nobody_finds_what_another_company_owns() {
    let (product, company) = (shared_product().await, unique_name("acme"));
    let ann = SignedInUser::found(product, "ann", &company).await;
    let eve = SignedInUser::found(product, "eve", &unique_name("other")).await;
    let draft = "draftProposal(input: { opportunityId: \"036:X\", title: \"Secret plan\" })";
    let proposal = ann.change(draft, json!({})).await;
    ann.change(
        "createResource(id: $id, input: { name: \"Prices\", kind: PRICE_LIST, body: \"Secret prices\" })",
        json!({ "id": proposal.id }),
    )
    .await;
    let saved = ann.change("saveOpportunity(opportunityId: \"036:X\")", json!({})).await;
    let shown = ann.ask_since(&saved, "{ proposals { totalCount } resources { totalCount } }", json!({})).await;
    assert_eq!(shown, json!({ "proposals": { "totalCount": 1 }, "resources": { "totalCount": 1 } }));

    // What is not there and what is another's are the same.
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
    let [foreign, nothing] = [proposal.id.as_str(), unknown].map(|id| json!({ "id": id }));
    assert_eq!(eve.ask(QUERY_EVERYTHING, foreign.clone()).await, eve.ask(QUERY_EVERYTHING, nothing.clone()).await);
    let withdraw = "mutation($id: UUID!) { outcome: withdrawProposal(proposalId: $id, reason: \"x\") {
        ... on Accepted { version } ... on Rejected { rule reason } } }";
    let (theirs, nobodys) =
        (eve.outcome_of(withdraw, foreign.clone()).await, eve.outcome_of(withdraw, nothing.clone()).await);
    assert_eq!((&theirs["rule"], &theirs), (&json!("NOT_FOUND"), &nobodys));

    who_does_not_belong_is_told_nothing(product, &company, &foreign).await;
    a_subscriber_hears_of_its_own_company_only(product, &ann, &eve).await;
    a_company_cannot_be_taken(product, &company, &eve).await;
    public_data_is_not_theirs_to_change(product, &eve).await;
}

/// A token of somebody whom no company knows, for a company that there is and for one that there is not.
async fn who_does_not_belong_is_told_nothing(product: &ProductHandle, company: &str, foreign: &Value) {
    let mut answers = vec![];
    for tenant in [company, "no-such-company"] {
        let stranger = SignedInUser::login(product, "mallory", Some(tenant)).await;
        let profile = stranger.ask("{ company { name } }", json!({})).await;
        answers.push((stranger.ask(QUERY_EVERYTHING, foreign.clone()).await, profile));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!((error_code(&answers[0].0), error_code(&answers[0].1)), ("FORBIDDEN", "FORBIDDEN"));
}

async fn a_subscriber_hears_of_its_own_company_only(
    product: &ProductHandle,
    ann: &SignedInUser<'_>,
    eve: &SignedInUser<'_>,
) {
    // From before the first event, so that nothing depends on when the subscription begins.
    let draft = "draftProposal(input: { opportunityId: \"036:X\", title: \"Another\" })";
    let (hers, other) = (eve.change(draft, json!({})).await, ann.change(draft, json!({})).await);
    let document = format!(
        "subscription {{ proposalChanges(after: \"{}\") {{ proposalId kind by proposal {{ title }} }} }}",
        beginning(&hers.token)
    );
    let payload = json!({ "authorization": format!("Bearer {}", eve.token) });
    let mut told = GraphqlSubscriber::begin(product.http(), payload, &document).await.unwrap();
    let last = eve.change(draft, json!({})).await;

    for wanted in [&hers, &last] {
        let change = told.next().await.unwrap().unwrap()["data"]["proposalChanges"].clone();
        assert_eq!((&change["proposalId"], &change["by"]), (&json!(wanted.id), &json!("eve")), "{change}");
        assert_eq!(change["proposal"]["title"], "Another");
        assert_ne!(change["proposalId"], json!(other.id));
    }
    let nobody =
        GraphqlSubscriber::begin(product.http(), json!({}), &document).await.unwrap().next().await.unwrap().unwrap();
    assert_eq!(error_code(&nobody), "UNAUTHENTICATED");
}

/// A cursor before everything of the log that a token is of.
fn beginning(token: &str) -> String {
    let incarnation = token.split('.').next().unwrap();
    format!("{incarnation}.0")
}

async fn a_company_cannot_be_taken(product: &ProductHandle, company: &str, eve: &SignedInUser<'_>) {
    let register = "mutation($tenant: String!) { outcome: registerCompany(tenant: $tenant, name: \"Mine\") {
        ... on Accepted { version } ... on Rejected { rule } } }";
    assert_eq!(eve.outcome_of(register, json!({ "tenant": company })).await["rule"], "ALREADY_REGISTERED");
    for reserved in ["public", "system", "Acme", "a:b"] {
        assert_eq!(error_code(&eve.ask(register, json!({ "tenant": reserved })).await), "INVALID_INPUT", "{reserved}");
    }
    let nobody = product.graphql_as(None, register, json!({ "tenant": "mine" })).await;
    assert_eq!(error_code(&nobody), "UNAUTHENTICATED");
}

async fn public_data_is_not_theirs_to_change(product: &ProductHandle, eve: &SignedInUser<'_>) {
    let archive = "mutation { archiveOpportunity(id: \"036:X\") { __typename } }";
    assert_eq!(error_code(&eve.ask(archive, json!({})).await), "FORBIDDEN");
    assert_eq!(error_code(&product.graphql_as(None, archive, json!({})).await), "FORBIDDEN");
    let operator = product
        .graphql(
            "mutation { outcome: archiveOpportunity(id: \"036:X\") { ... on OpportunityRejected { rule } } }",
            json!({}),
        )
        .await;
    assert_eq!(operator["data"]["outcome"]["rule"], "NOT_DISCOVERED");
    let owning =
        "mutation { outcome: draftProposal(input: { opportunityId: \"036:X\", title: \"x\" }) { __typename } }";
    assert_eq!(error_code(&product.graphql(owning, json!({})).await), "FORBIDDEN", "an operator is no company");
}
