//! A proposal from its draft to the agency's decision, and the other aggregates that a team uses.

use serde_json::json;
use tests::{ProductInstance, SignedInUser, error_code};

const DRAFT_PROPOSAL: &str = "draftProposal(input: { opportunityId: \"036:36C24526Q0001\", title: \"Beds\",
    outline: [{ key: \"approach\", heading: \"Approach\" }] })";

#[tokio::test]
async fn a_team_writes_reviews_submits_and_wins_a_proposal() {
    let product = ProductInstance::start().await;
    let admin = SignedInUser::register_company(&product, "ada", "acme").await;
    let (ann, bob) =
        (admin.add_member("ann", "CONTRIBUTOR", "acme").await, admin.add_member("bob", "MANAGER", "acme").await);
    let vic = admin.add_member("vic", "VIEWER", "acme").await;

    let drafted = ann.apply_change(DRAFT_PROPOSAL, json!({})).await;
    let id = json!({ "id": drafted.id });
    let edit = "editProposalSection(input: { proposalId: $id, section: \"approach\", heading: \"Approach\",
        content: \"We deliver.\", basedOn: 0 })";
    ann.apply_change(edit, id.clone()).await;
    let stale = ann
        .send_mutation(
            &format!(
                "mutation($id: UUID!) {{ outcome: {} {{ ... on Rejected {{ rule }} }} }}",
                edit.replace("We deliver.", "We do not.")
            ),
            id.clone(),
        )
        .await;
    assert_eq!(stale["rule"], "STALE_SECTION");
    let comment = "commentOnProposal(input: { proposalId: $id, section: \"approach\", text: \"By when?\" })";
    ann.apply_change(comment, id.clone()).await;
    ann.apply_change("submitProposalForReview(proposalId: $id)", id.clone()).await;

    let approve = "mutation($id: UUID!) { outcome: approveProposal(proposalId: $id) {
        ... on Accepted { version } ... on Rejected { rule } } }";
    for (user, expected) in [(&ann, "FORBIDDEN"), (&vic, "FORBIDDEN")] {
        assert_eq!(error_code(&user.send_document(approve, id.clone()).await), expected);
    }
    let anonymous = product.send_graphql_as(None, approve, id.clone()).await;
    assert_eq!(error_code(&anonymous), "UNAUTHENTICATED");
    bob.apply_change("approveProposal(proposalId: $id, note: \"Good.\")", id.clone()).await;
    bob.apply_change("submitProposal(proposalId: $id, confirmation: \"SAM-1\")", id.clone()).await;
    let won = bob
        .apply_change("recordProposalOutcome(input: { proposalId: $id, won: true, amount: \"81930000\" })", id.clone())
        .await;
    assert_eq!(won.version, 7);

    let answer = vic
        .query_since(
            &won,
            "query($id: UUID!) { proposal(id: $id) { version phase title createdBy updatedBy
        sections { key content revision } comments { text author resolved } review confirmation
        outcome { won amount } opportunity { id } }
        proposals(phase: WON) { totalCount edges { node { id } } } drafts: proposals(phase: DRAFT) { totalCount } }",
            id.clone(),
        )
        .await;
    assert_eq!(
        answer["proposal"],
        json!({
            "version": 7, "phase": "WON", "title": "Beds", "createdBy": "ann", "updatedBy": "bob",
            "sections": [{ "key": "approach", "content": "We deliver.", "revision": 1 }],
            "comments": [{ "text": "By when?", "author": "ann", "resolved": false }],
            "review": "Good.", "confirmation": "SAM-1", "outcome": { "won": true, "amount": "81930000" },
            "opportunity": null,
        })
    );
    assert_eq!(answer["proposals"], json!({ "totalCount": 1, "edges": [{ "node": { "id": drafted.id } }] }));
    assert_eq!(answer["drafts"]["totalCount"], 0);

    a_proposal_is_read_as_of_a_version(&vic, &id).await;
    a_repeated_mutation_is_executed_once(&ann).await;
    resources_are_listed_changed_and_deleted(&ann, &bob).await;
    a_watchlist_belongs_to_its_user(&ann, &vic).await;
    a_task_is_requested_and_cancelled(&ann).await;

    let verified = product.run_medhub(&["verify"]).await;
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    let rebuilt = product.run_medhub(&["rebuild", "workspace"]).await;
    assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
    let after_rebuild = vic.send_document("query($id: UUID!) { proposal(id: $id) { version phase } }", id).await;
    assert_eq!(after_rebuild["data"]["proposal"], json!({ "version": 7, "phase": "WON" }), "{after_rebuild}");
}

/// As-of reads of a proposal, and its history.
async fn a_proposal_is_read_as_of_a_version(vic: &SignedInUser<'_>, id: &serde_json::Value) {
    let document = "query($id: UUID!) { then: proposal(id: $id, asOf: { version: 1 }) { version phase updatedBy }
        later: proposal(id: $id, asOf: { version: 99 }) { version } before: proposal(id: $id, asOf: { time: \"2020-01-01T00:00:00Z\" }) { version }
        proposalHistory(id: $id, first: 2, after: 1) { hasMore changes { version kind by } } }";
    let answer = vic.send_document(document, id.clone()).await["data"].clone();
    assert_eq!(answer["then"], json!({ "version": 1, "phase": "DRAFT", "updatedBy": "ann" }));
    assert_eq!((&answer["later"], &answer["before"]), (&json!(null), &json!(null)));
    assert_eq!(
        answer["proposalHistory"],
        json!({ "hasMore": true, "changes": [
        { "version": 2, "kind": "proposal.section_edited", "by": "ann" },
        { "version": 3, "kind": "proposal.commented", "by": "ann" },
    ] })
    );
}

async fn a_repeated_mutation_is_executed_once(ann: &SignedInUser<'_>) {
    let draft = "mutation { outcome: draftProposal(input: { opportunityId: \"036:X\", title: \"Once\" },
        conditions: { idempotencyKey: \"k-1\" }) { ... on Accepted { id version repeated } } }";
    let first = ann.send_mutation(draft, json!({})).await;
    let second = ann.send_mutation(draft, json!({})).await;
    assert_eq!((&first["repeated"], &second["repeated"]), (&json!(false), &json!(true)), "{first} {second}");
    assert_eq!(first["id"], second["id"], "a generated id is the same for the same key");
    let other = ann.send_document(&draft.replace("Once", "Twice"), json!({})).await;
    assert_eq!(error_code(&other), "IDEMPOTENCY_KEY_REUSED");
    let outdated = "mutation($id: UUID!) { outcome: withdrawProposal(proposalId: $id, reason: \"x\",
        conditions: { expectedVersion: 9 }) { ... on Accepted { id } } }";
    assert_eq!(
        error_code(&ann.send_document(outdated, json!({ "id": first["id"] })).await),
        "FORBIDDEN",
        "authorization is checked before the version"
    );
}

async fn resources_are_listed_changed_and_deleted(ann: &SignedInUser<'_>, bob: &SignedInUser<'_>) {
    let input = |name: &str| format!("{{ name: \"{name}\", kind: BOILERPLATE, body: \"Text.\", tags: [\"lift\"] }}");
    let mut resources = vec![];
    for name in ["One", "Two", "Three"] {
        resources.push(ann.apply_change(&format!("createResource(input: {})", input(name)), json!({})).await);
    }
    let id = json!({ "id": resources[1].id });
    ann.apply_change(&format!("updateResource(id: $id, input: {})", input("Second")), id.clone()).await;
    let delete = "mutation($id: UUID!) { outcome: deleteResource(id: $id) { ... on Accepted { version } } }";
    assert_eq!(error_code(&ann.send_document(delete, id.clone()).await), "FORBIDDEN");
    let deleted = bob.apply_change("deleteResource(id: $id)", json!({ "id": resources[0].id })).await;

    let page = "query($after: String) { resources(first: 1, after: $after, kind: BOILERPLATE) {
        totalCount pageInfo { hasNextPage endCursor } edges { node { name tags version } } } }";
    let first = ann.query_since(&deleted, page, json!({})).await["resources"].clone();
    assert_eq!((&first["totalCount"], &first["edges"][0]["node"]["name"]), (&json!(2), &json!("Three")), "{first}");
    let second =
        ann.query_since(&deleted, page, json!({ "after": first["pageInfo"]["endCursor"] })).await["resources"].clone();
    assert_eq!(second["edges"][0]["node"], json!({ "name": "Second", "tags": ["lift"], "version": 2 }), "{second}");
    assert_eq!(second["pageInfo"]["hasNextPage"], false);
    let missing = bob
        .query_since(&deleted, "query($id: UUID!) { resource(id: $id) { name } }", json!({ "id": resources[0].id }))
        .await;
    assert_eq!(missing["resource"], json!(null));
}

async fn a_watchlist_belongs_to_its_user(ann: &SignedInUser<'_>, vic: &SignedInUser<'_>) {
    ann.apply_change("saveOpportunity(opportunityId: \"036:36C24526Q0001\")", json!({})).await;
    let saved = ann
        .apply_change("saveSearch(search: { name: \"Beds\", text: \"hospital beds\", notify: DAILY })", json!({}))
        .await;
    let own = "{ savedOpportunities { opportunityId opportunity { id } } savedSearches { name text notify } }";
    assert_eq!(
        ann.query_since(&saved, own, json!({})).await,
        json!({
            "savedOpportunities": [{ "opportunityId": "036:36C24526Q0001", "opportunity": null }],
            "savedSearches": [{ "name": "Beds", "text": "hospital beds", "notify": "DAILY" }],
        })
    );
    let others = vic.query_since(&saved, own, json!({})).await;
    assert_eq!(others, json!({ "savedOpportunities": [], "savedSearches": [] }));
    let save_again = "mutation { outcome: saveSearch(search: { name: \"Beds\", text: \"x\", notify: NEVER }) {
        ... on Rejected { rule } } }";
    assert_eq!(ann.send_mutation(save_again, json!({})).await["rule"], "NAME_TAKEN");
    let empty =
        "mutation { outcome: saveSearch(search: { name: \"All\", notify: NEVER }) { ... on Rejected { rule } } }";
    assert_eq!(error_code(&ann.send_document(empty, json!({})).await), "INVALID_INPUT");
}

async fn a_task_is_requested_and_cancelled(ann: &SignedInUser<'_>) {
    let request = "requestTask(input: { kind: GENERATE_PROPOSAL, subjectKind: OPPORTUNITY, subjectId: \"036:X\",
        parameters: [{ name: \"tone\", value: \"plain\" }] })";
    let task = ann.apply_change(request, json!({})).await;
    let id = json!({ "id": task.id });
    let cancelled = ann.apply_change("cancelTask(id: $id, reason: \"no longer\")", id.clone()).await;
    let answer = ann
        .query_since(
            &cancelled,
            "query($id: UUID!) { task(id: $id) { status kind subjectId parameters { name value } }
        tasks(status: CANCELLED) { totalCount } }",
            id,
        )
        .await;
    assert_eq!(
        answer,
        json!({
            "task": { "status": "CANCELLED", "kind": "GENERATE_PROPOSAL", "subjectId": "036:X",
                      "parameters": [{ "name": "tone", "value": "plain" }] },
            "tasks": { "totalCount": 1 },
        })
    );
}
