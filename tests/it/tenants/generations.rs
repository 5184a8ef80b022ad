//! Generations of proposals before a worker takes them: requests with their limits, cancellation, and failed tasks.

use futures::future::join_all;
use serde_json::{Value, json};
use tests::{
    AcceptedChange, SignedInUser, error_code, eventually, json_lines, output_text, shared_product, unique_name,
};

const GENERATE: &str = "generateProposal(input: { proposalId: $id })";

const GENERATION: &str = "query($id: UUID!) { proposalGeneration(id: $id) {
    id version status reason proposalId opportunityId createdBy endedAt costMicros rating { rating }
    prompt { name } sections { key heading basedOn status sentences { text } failure } } }";

/// How many generations of a company may run at the same time, by default.
const MAX_RUNNING: usize = 5;

async fn draft_proposal(user: &SignedInUser<'_>, title: &str) -> AcceptedChange {
    let draft = format!(
        "draftProposal(input: {{ opportunityId: \"036:36C24526Q0001\", title: \"{title}\",
        outline: [{{ key: \"approach\", heading: \"Approach\" }}, {{ key: \"staff\", heading: \"Staff\" }}] }})"
    );
    user.apply_change(&draft, json!({})).await
}

/// A mutation with its outcome, in full.
fn mutation(field: &str) -> String {
    format!(
        "mutation($id: UUID!) {{ outcome: {field} {{ ... on Accepted {{ id version repeated }}
        ... on Rejected {{ rule reason }} }} }}"
    )
}

/// The task of a generation, when it has this status.
async fn wait_for_task(user: &SignedInUser<'_>, generation: &str, status: &str) -> Value {
    let document = "{ tasks(first: 50) { edges { node { id kind status subjectKind subjectId
        parameters { name value } } } } }";
    eventually(async || {
        let answer = user.send_document(document, json!({})).await;
        let edges = answer["data"]["tasks"]["edges"].as_array().cloned().unwrap_or_default();
        let parameters = json!([{ "name": "generation_id", "value": generation }]);
        let is_task = |edge: &&Value| edge["node"]["parameters"] == parameters && edge["node"]["status"] == status;
        edges.iter().find(is_task).map(|edge| edge["node"].clone()).ok_or_else(|| answer.to_string())
    })
    .await
}

async fn notification_titles(user: &SignedInUser<'_>) -> Vec<String> {
    let answer = user.send_document("{ notifications { edges { node { title body about } } } }", json!({})).await;
    let edges = answer["data"]["notifications"]["edges"].as_array().cloned().unwrap_or_default();
    edges.iter().map(|edge| edge["node"]["title"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn a_generation_is_requested_by_a_contributor_for_a_draft_and_seen_by_its_company() {
    let (product, company) = (shared_product().await, unique_name("acme"));
    let ada = SignedInUser::register_company(product, "ada", &company).await;
    let (ann, vic) =
        (ada.add_member("ann", "CONTRIBUTOR", &company).await, ada.add_member("vic", "VIEWER", &company).await);
    let eve = SignedInUser::register_company(product, "eve", &unique_name("other")).await;
    let proposal = draft_proposal(&ann, "Beds").await;
    let id = json!({ "id": proposal.id });

    assert_eq!(error_code(&vic.send_document(&mutation(GENERATE), id.clone()).await), "FORBIDDEN");
    assert_eq!(error_code(&product.send_graphql_as(None, &mutation(GENERATE), id.clone()).await), "UNAUTHENTICATED");
    assert_eq!(eve.send_mutation(&mutation(GENERATE), id.clone()).await["rule"], "NOT_FOUND");
    let with_section =
        |key: &str| mutation(&format!("generateProposal(input: {{ proposalId: $id, sections: [\"{key}\"] }})"));
    assert_eq!(ann.send_mutation(&with_section("prices"), id.clone()).await["rule"], "NO_SUCH_SECTION");
    assert_eq!(error_code(&ann.send_document(&with_section("Staff"), id.clone()).await), "INVALID_INPUT");

    let keyed = "generateProposal(input: { proposalId: $id, sections: [\"staff\", \"approach\"] },
        conditions: { idempotencyKey: \"generate-once\" })";
    let generation = ann.apply_change(keyed, id.clone()).await;
    assert_eq!(generation.version, 1);
    let again = ann.send_mutation(&mutation(keyed), id.clone()).await;
    assert_eq!((&again["repeated"], &again["id"]), (&json!(true), &json!(generation.id)), "{again}");
    assert_eq!(ann.send_mutation(&mutation(GENERATE), id.clone()).await["rule"], "ALREADY_RUNNING");

    let found = vic.query_since(&generation, GENERATION, json!({ "id": generation.id })).await;
    let pending = |key: &str, heading: &str| {
        json!({ "key": key, "heading": heading, "basedOn": 0, "status": "PENDING",
        "sentences": [], "failure": null })
    };
    assert_eq!(
        found["proposalGeneration"],
        json!({
            "id": generation.id, "version": 1, "status": "RUNNING", "reason": null, "proposalId": proposal.id,
            "opportunityId": "036:36C24526Q0001", "createdBy": "ann", "endedAt": null, "costMicros": 0,
            "rating": null, "prompt": { "name": "proposal-section" },
            "sections": [pending("staff", "Staff"), pending("approach", "Approach")],
        })
    );
    let list = "query($id: UUID!) { proposalGenerations(proposalId: $id) { totalCount edges { node { id } } } }";
    let own = vic.query_since(&generation, list, id.clone()).await["proposalGenerations"].clone();
    assert_eq!(own, json!({ "totalCount": 1, "edges": [{ "node": { "id": generation.id } }] }));
    let foreign = eve.send_document(list, id.clone()).await["data"]["proposalGenerations"]["totalCount"].clone();
    let foreign_node = eve.send_document(GENERATION, json!({ "id": generation.id })).await;
    assert_eq!((foreign, &foreign_node["data"]["proposalGeneration"]), (json!(0), &json!(null)));
    let foreign_cancel = mutation("cancelGeneration(id: $id, reason: \"x\")");
    assert_eq!(eve.send_mutation(&foreign_cancel, json!({ "id": generation.id })).await["rule"], "NOT_FOUND");

    let task = wait_for_task(&ann, &generation.id, "REQUESTED").await;
    let subject = (&task["kind"], &task["subjectKind"], &task["subjectId"]);
    assert_eq!(subject, (&json!("GENERATE_PROPOSAL"), &json!("PROPOSAL"), &json!(proposal.id)), "{task}");
    let rate = mutation("rateGeneration(input: { id: $id, rating: HELPFUL })");
    assert_eq!(vic.send_mutation(&rate, json!({ "id": generation.id })).await["rule"], "NOT_COMPLETED");
}

#[tokio::test]
async fn a_cancelled_generation_takes_its_task_along_and_a_failed_task_its_generation() {
    let (product, company) = (shared_product().await, unique_name("acme"));
    let ada = SignedInUser::register_company(product, "ada", &company).await;
    let vic = ada.add_member("vic", "VIEWER", &company).await;
    let proposal = draft_proposal(&ada, "Lifts").await;
    let id = json!({ "id": proposal.id });

    let cancelled = ada.apply_change(GENERATE, id.clone()).await;
    let process = ["processes", "list", "--tenant", &company, "--json"];
    let rows = eventually(async || {
        let listed = product.run_medhub(&process).await;
        let rows = json_lines(&listed);
        if rows.is_empty() { Err(output_text(&listed)) } else { Ok(rows) }
    })
    .await;
    assert_eq!((&rows[0]["process"], &rows[0]["instance"]), (&json!("proposal-generation"), &json!(cancelled.id)));
    assert_eq!(rows[0]["waits_for"], "the end of the generation");
    wait_for_task(&ada, &cancelled.id, "REQUESTED").await;
    let cancel = "cancelGeneration(id: $id, reason: \"not needed\")";
    let of_cancelled = json!({ "id": cancelled.id });
    assert_eq!(error_code(&vic.send_document(&mutation(cancel), of_cancelled.clone()).await), "FORBIDDEN");
    let end = ada.apply_change(cancel, of_cancelled.clone()).await;
    wait_for_task(&ada, &cancelled.id, "CANCELLED").await;
    let node = ada.query_since(&end, GENERATION, of_cancelled).await["proposalGeneration"].clone();
    assert_eq!((&node["status"], &node["reason"]), (&json!("CANCELLED"), &json!("not needed")), "{node}");
    assert!(node["endedAt"].is_string(), "{node}");

    // The next one is refused neither by the one before nor by its process.
    let failed = ada.query_since(&end, &mutation(GENERATE), id.clone()).await["outcome"].clone();
    let failed = failed["id"].as_str().unwrap_or_else(|| panic!("{failed}")).to_owned();
    let task = wait_for_task(&ada, &failed, "REQUESTED").await;
    ada.apply_change("cancelTask(id: $id, reason: \"no worker today\")", json!({ "id": task["id"] })).await;
    let node = eventually(async || {
        let answer = ada.send_document(GENERATION, json!({ "id": failed })).await;
        let node = answer["data"]["proposalGeneration"].clone();
        if node["status"] == "FAILED" { Ok(node) } else { Err(answer.to_string()) }
    })
    .await;
    assert_eq!((&node["reason"], &node["version"]), (&json!("no worker today"), &json!(2)), "{node}");
    let titles = eventually(async || {
        let titles = notification_titles(&ada).await;
        if titles.is_empty() { Err("no notification".to_owned()) } else { Ok(titles) }
    })
    .await;
    // Who cancels a generation is not notified of it.
    assert_eq!(titles, ["Proposal not generated"]);

    let history = "query($id: UUID!) { proposalGenerationHistory(id: $id) { hasMore changes { kind by } } }";
    let history =
        ada.send_document(history, json!({ "id": failed })).await["data"]["proposalGenerationHistory"].clone();
    let changes = json!([
        { "kind": "proposal_generation.requested", "by": "ada" },
        { "kind": "proposal_generation.failed", "by": "system:proposal-generation" },
    ]);
    assert_eq!(history, json!({ "hasMore": false, "changes": changes }));
}

#[tokio::test]
async fn the_running_generations_of_a_company_are_limited_also_when_they_are_requested_at_the_same_time() {
    let (product, company) = (shared_product().await, unique_name("acme"));
    let ada = SignedInUser::register_company(product, "ada", &company).await;
    // All requests at once; how many are accepted, and the rules that refuse the others.
    let request_all = async |proposals: &[&str]| {
        let (document, ada) = (mutation(GENERATE), &ada);
        let outcomes = join_all(proposals.iter().map(|id| ada.send_mutation(&document, json!({ "id": id })))).await;
        let accepted: Vec<_> =
            outcomes.iter().filter_map(|outcome| outcome["id"].as_str().map(str::to_owned)).collect();
        let refused: Vec<_> =
            outcomes.iter().filter_map(|outcome| outcome["rule"].as_str().map(str::to_owned)).collect();
        (accepted, refused)
    };
    let first = draft_proposal(&ada, "Lot 0").await;
    let (accepted, refused) = request_all(&[first.id.as_str(); 6]).await;
    assert_eq!((accepted.len(), refused), (1, vec!["ALREADY_RUNNING".to_owned(); 5]));

    let drafts =
        join_all((1..=MAX_RUNNING + 2).map(async |number| draft_proposal(&ada, &format!("Lot {number}")).await)).await;
    let drafts: Vec<_> = drafts.iter().map(|draft| draft.id.as_str()).collect();
    let (others, refused) = request_all(&drafts).await;
    assert_eq!((others.len(), refused), (MAX_RUNNING - 1, vec!["TOO_MANY_RUNNING".to_owned(); 3]));

    ada.apply_change("cancelGeneration(id: $id, reason: \"later\")", json!({ "id": accepted[0] })).await;
    let again = ada.send_mutation(&mutation(GENERATE), json!({ "id": first.id })).await;
    assert_eq!(again["version"], 1, "{again}");
}

#[tokio::test]
async fn a_user_requests_no_task_of_a_generation() {
    let ada = SignedInUser::register_company(shared_product().await, "ada", &unique_name("acme")).await;
    let task = "requestTask(input: { kind: GENERATE_PROPOSAL, subjectKind: PROPOSAL, subjectId: \"p\",
        parameters: [{ name: \"generation_id\", value: \"g\" }] })";
    let document = format!("mutation {{ outcome: {task} {{ ... on Rejected {{ rule reason }} }} }}");
    let refused = ada.send_mutation(&document, json!({})).await;
    assert_eq!(refused["rule"], "RESERVED_TASK", "{refused}");
    assert!(refused["reason"].as_str().unwrap().contains("generateProposal"), "{refused}");
}
