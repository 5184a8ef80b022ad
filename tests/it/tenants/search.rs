//! Search in a company's own texts and its documents' texts, and recommended opportunities.

use serde_json::{Value, json};
use tests::{AcceptedChange, HttpResponse, ProductHandle, ProductInstance, SignedInUser, build_request, error_code};

const SEARCH_QUERY: &str = "query($words: String!, $kinds: [WorkspaceKind!]) {
    searchWorkspace(query: $words, kinds: $kinds, first: 20) { kind id title part heading page passage version score } }";

/// A text of many passages; only one is about pumps.
fn long_text() -> String {
    let filler = "We keep hospital beds in repair, on site and within two days. ".repeat(40);
    format!("{filler}\n\nInfusion pumps are calibrated by the maker's own technicians, part PX-4711-B.\n\n{filler}")
}

async fn search_texts(user: &SignedInUser<'_>, since: &AcceptedChange, words: &str, kinds: Value) -> Vec<Value> {
    let answer = user.query_since(since, SEARCH_QUERY, json!({ "words": words, "kinds": kinds })).await;
    answer["searchWorkspace"].as_array().unwrap().clone()
}

fn hit_ids(hits: &[Value]) -> Vec<&str> {
    hits.iter().map(|hit| hit["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_company_finds_its_own_texts_and_none_of_others() {
    let product = ProductInstance::start().await;
    let ann = SignedInUser::register_company(&product, "ann", "acme").await;
    let eve = SignedInUser::register_company(&product, "eve", "other").await;

    let resource = ann
        .send_document(
            "mutation($body: String!) { outcome: createResource(input: { name: \"Service\", kind: BOILERPLATE,
            body: $body, tags: [\"spare-parts\"] }) { ... on Accepted { id } } }",
            json!({ "body": long_text() }),
        )
        .await["data"]["outcome"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let draft = "draftProposal(input: { opportunityId: \"036:36C24526Q0001\", title: \"Training in Tampa\" })";
    let proposal = ann.apply_change(draft, json!({})).await;
    let (proposal_id, id) = (proposal.id.clone(), json!({ "id": proposal.id }));
    let edit = "editProposalSection(input: { proposalId: $id, section: \"staff\", heading: \"Staff\",
        content: \"Nurses train every user of the defibrillators.\", basedOn: 0 })";
    ann.apply_change(edit, id.clone()).await;
    let create_foreign = "createResource(input: { name: \"Infusion pumps\", kind: OTHER, body: \"Infusion pump calibration PX-4711-B.\" })";
    let foreign = eve.apply_change(create_foreign, json!({})).await;

    let pumps = search_texts(&ann, &foreign, "calibration of infusion pumps", json!(null)).await;
    assert_eq!(
        (&pumps[0]["id"], &pumps[0]["title"], &pumps[0]["part"]),
        (&json!(resource), &json!("Service"), &json!("whole"))
    );
    assert!(pumps[0]["passage"].as_str().unwrap().contains("Infusion pumps are calibrated"), "{}", pumps[0]);
    assert!(!hit_ids(&pumps).contains(&foreign.id.as_str()), "a hit of another company: {pumps:?}");
    for number in ["PX4711B", "px-4711-b"] {
        assert_eq!(search_texts(&ann, &foreign, number, json!(null)).await[0]["id"], resource.as_str(), "{number}");
    }
    let staff = search_texts(&ann, &foreign, "who teaches people to use defibrillators", json!(["PROPOSAL"])).await;
    assert_eq!((&staff[0]["part"], &staff[0]["title"]), (&json!("section:staff"), &json!("Training in Tampa")));
    assert!(staff.iter().all(|hit| hit["kind"] == "PROPOSAL"), "{staff:?}");
    let others = search_texts(&eve, &foreign, "infusion pumps", json!(null)).await;
    assert_eq!(hit_ids(&others), [foreign.id.as_str()]);

    let refused = [json!({ "words": " " }), json!({ "words": "x".repeat(201) })];
    for variables in refused {
        assert_eq!(error_code(&ann.send_document(SEARCH_QUERY, variables).await), "INVALID_INPUT");
    }
    let stranger = SignedInUser::login(&product, "mallory", Some("acme")).await;
    assert_eq!(error_code(&stranger.send_document(SEARCH_QUERY, json!({ "words": "pumps" })).await), "FORBIDDEN");

    // Texts that were rewritten, removed or deleted are no longer found.
    let removed = ann.apply_change("removeProposalSection(proposalId: $id, section: \"staff\", basedOn: 1)", id).await;
    assert_eq!(removed.version, 3);
    let deleted = ann.apply_change("deleteResource(id: $id)", json!({ "id": resource })).await;
    for (words, part) in [("defibrillators", "section:staff"), ("infusion pumps", "whole")] {
        let hits = search_texts(&ann, &deleted, words, json!(null)).await;
        assert!(hits.iter().all(|hit| hit["part"] != part), "{words}: {hits:?}");
    }

    let bob = SignedInUser::register_company(&product, "bob", "third").await;
    let document = texts_of_documents_are_found_until_they_are_deleted(&product, &bob, &ann).await;

    let verified = product.run_medhub(&["verify", "search"]).await;
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    let rebuilt = product.run_medhub(&["rebuild", "search"]).await;
    assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
    let rebuilt_hits = search_texts(&ann, &deleted, "Tampa", json!(null)).await;
    assert_eq!(hit_ids(&rebuilt_hits), [proposal_id.as_str()], "the new generation has the same hits");
    assert_eq!(hit_ids(&search_texts(&eve, &deleted, "Tampa", json!(null)).await), [foreign.id.as_str()]);

    let hits = search_texts(&bob, &document, "quench valve", json!(null)).await;
    assert_eq!((&hits[0]["id"], &hits[0]["page"]), (&json!(document.id), &json!(2)), "{hits:?}");

    opportunities_are_recommended_by_profile_and_saves(&product, &ann).await;
    a_company_has_the_ranking_that_it_is_assigned(&product, &ann, &eve).await;
    aggregates_have_a_history(&ann, &resource).await;
}

/// Returns the document that remains.
async fn texts_of_documents_are_found_until_they_are_deleted(
    product: &ProductHandle,
    bob: &SignedInUser<'_>,
    stranger: &SignedInUser<'_>,
) -> AcceptedChange {
    let issued =
        bob.send_document("mutation { issueApiKey(input: { name: \"reader\", scopes: [TASKS] }) { key } }", json!({}));
    let key = issued.await["data"]["issueApiKey"]["key"].as_str().unwrap().to_owned();
    let text =
        "The government buys scanners.\u{c}1. Quenching\nThe quench valve is of niobium titanium.\u{c}Offers by mail.";
    let mut documents = vec![];
    for file_name in ["kept.pdf", "deleted.pdf"] {
        let upload =
            build_request(product, "POST", &format!("/api/v1/documents?fileName={file_name}"), Some(&bob.token));
        let upload = upload.header("content-type", "application/pdf").body(format!("%PDF-1.7 {file_name}"));
        let id = HttpResponse::from_request(upload).await.body["id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/documents/{id}/text?pages=3&method=native");
        let put = HttpResponse::from_request(build_request(product, "PUT", &path, Some(&key)).body(text)).await;
        assert_eq!(put.status.as_u16(), 200, "{}", put.body);
        documents.push(AcceptedChange { id, token: put.header("consistency-token").to_owned(), version: 2 });
    }
    let (kept, deleted) = (documents.remove(0), documents.remove(0));
    let hits = search_texts(bob, &deleted, "niobium titanium", json!(["DOCUMENT"])).await;
    for hit in &hits[..2] {
        assert_eq!(
            (&hit["page"], &hit["heading"], &hit["part"]),
            (&json!(2), &json!("Page 2"), &json!("text:2")),
            "{hit}"
        );
        assert!(hit["passage"].as_str().unwrap().contains("niobium titanium"), "{hit}");
    }
    let mut found = hit_ids(&hits[..2]);
    found.sort_unstable();
    let mut ids = [kept.id.as_str(), deleted.id.as_str()];
    ids.sort_unstable();
    assert_eq!(found, ids);
    let foreign = search_texts(stranger, &deleted, "niobium titanium", json!(null)).await;
    assert!(foreign.iter().all(|hit| hit["kind"] != "DOCUMENT"), "a hit of another company: {foreign:?}");

    let deletion = bob.apply_change("deleteDocument(id: $id)", json!({ "id": deleted.id })).await;
    let hits = search_texts(bob, &deletion, "niobium titanium", json!(null)).await;
    assert!(!hits.is_empty() && hits.iter().all(|hit| hit["id"] == kept.id.as_str()), "{hits:?}");
    AcceptedChange { token: deletion.token, ..kept }
}

async fn a_company_has_the_ranking_that_it_is_assigned(
    product: &ProductHandle,
    ann: &SignedInUser<'_>,
    eve: &SignedInUser<'_>,
) {
    let assign = "mutation { define: defineFeatureFlag(key: \"search.ranking\", description: \"Ranking\", variants: [
            { name: \"control\", weight: 1 }, { name: \"words\", weight: 1 }]) { __typename }
        set: setFlagOverride(key: \"search.ranking\", tenant: \"acme\", variant: \"words\", reason: \"try\") { __typename } }";
    let assigned = product.send_graphql_as(Some(product.operator_token()), assign, json!({})).await;
    assert_eq!(assigned["data"]["set"]["__typename"], "Accepted", "{assigned}");
    let search = "{ searchOpportunities(query: \"patient lifts\", first: 2) { id ranking } }";
    let ranking = async |user: &SignedInUser<'_>| {
        let answer = user.send_document(search, json!({})).await;
        let hits = answer["data"]["searchOpportunities"].as_array().unwrap().clone();
        assert!(hits.len() == 2 && hits[0]["ranking"] == hits[1]["ranking"], "{hits:?}");
        hits[0]["ranking"].clone()
    };
    assert_eq!((ranking(ann).await, ranking(eve).await), (json!("words"), json!("control")));
    let similar = ann.send_document("{ similarOpportunities(id: \"036:R1\", first: 1) { ranking } }", json!({})).await;
    assert_eq!(similar["data"]["similarOpportunities"], json!([{ "ranking": null }]), "{similar}");
}

async fn opportunities_are_recommended_by_profile_and_saves(product: &ProductHandle, ann: &SignedInUser<'_>) {
    let discover = "mutation($input: DiscoverOpportunityInput!) { outcome: discoverOpportunity(input: $input) {
        ... on OpportunityAccepted { consistencyToken } ... on OpportunityRejected { rule } } }";
    let mut token = String::new();
    for (number, title, naics) in [
        ("R1", "Patient lifts and ceiling hoists for the ward", "339113"),
        ("R2", "Mobile patient lift, bariatric", "339113"),
        ("R3", "Lawn mowing at the national cemetery", "561730"),
    ] {
        let input = json!({
            "noticeId": number, "postedAt": "2026-03-01T00:00:00Z", "title": title, "type": "Solicitation",
            "agency": "VETERANS AFFAIRS, DEPARTMENT OF", "solicitationNumber": number, "naics": naics,
        });
        let answer = product.send_graphql(discover, json!({ "input": input })).await;
        let consistency_token = answer["data"]["outcome"]["consistencyToken"].as_str();
        consistency_token.unwrap_or_else(|| panic!("{answer}")).clone_into(&mut token);
    }
    let discovered = AcceptedChange { id: String::new(), token, version: 1 };
    let recommended = "query($ours: Boolean!) { recommendedOpportunities(first: 2, inOurIndustries: $ours) { id } }";
    let none = ann.query_since(&discovered, recommended, json!({ "ours": false })).await;
    assert_eq!(none["recommendedOpportunities"], json!([]), "neither a profile nor saves to recommend by");
    assert_eq!(error_code(&ann.send_document(recommended, json!({ "ours": true })).await), "INVALID_INPUT");
    let zoe = SignedInUser::login(product, "zoe", None).await;
    assert_eq!(
        error_code(&zoe.send_document(recommended, json!({ "ours": false })).await),
        "FORBIDDEN",
        "she has no company"
    );

    let profile =
        "changeCompanyProfile(profile: { name: \"Acme\", capabilities: \"Grounds maintenance and mowing of lawns\",
        naics: [\"339113\"] })";
    let changed = ann.apply_change(profile, json!({})).await;
    let by_profile = ann.query_since(&changed, recommended, json!({ "ours": false })).await;
    assert_eq!(by_profile["recommendedOpportunities"][0]["id"], "036:R3");
    let ours = ann.query_since(&changed, recommended, json!({ "ours": true })).await;
    let ours: Vec<_> = ours["recommendedOpportunities"].as_array().unwrap().clone();
    assert!(ours.len() == 2 && !hit_ids(&ours).contains(&"036:R3"), "{ours:?}");

    let saved = ann.apply_change("saveOpportunity(opportunityId: \"036:R1\")", json!({})).await;
    let by_saves = ann.query_since(&saved, recommended, json!({ "ours": true })).await;
    assert_eq!(
        by_saves["recommendedOpportunities"],
        json!([{ "id": "036:R2" }]),
        "saved opportunities are not recommended"
    );
}

async fn aggregates_have_a_history(ann: &SignedInUser<'_>, resource: &str) {
    let task = ann
        .apply_change(
            "requestTask(input: { kind: INDEX_RESOURCE, subjectKind: RESOURCE, subjectId: $subject })",
            json!({ "subject": resource }),
        )
        .await;
    ann.apply_change("cancelTask(id: $id, reason: \"Not needed\")", json!({ "id": task.id })).await;
    let answer = ann
        .send_document(
            "query($resource: UUID!, $task: UUID!) {
            resource(id: $resource) { id } before: resource(id: $resource, asOf: { version: 1 }) { name version }
            resourceHistory(id: $resource) { hasMore changes { version kind by } }
            taskHistory(id: $task, after: 1) { changes { version kind } }
            requested: task(id: $task, asOf: { version: 1 }) { status }
            documentHistory(id: $task) { changes { kind } } }",
            json!({ "resource": resource, "task": task.id }),
        )
        .await;
    let data = &answer["data"];
    assert_eq!(
        (&data["resource"], &data["before"]),
        (&json!(null), &json!({ "name": "Service", "version": 1 })),
        "{answer}"
    );
    let changes = json!([{ "version": 1, "kind": "resource.created", "by": "ann" },
        { "version": 2, "kind": "resource.deleted", "by": "ann" }]);
    assert_eq!(data["resourceHistory"], json!({ "hasMore": false, "changes": changes }));
    assert_eq!(data["taskHistory"]["changes"], json!([{ "version": 2, "kind": "task.cancelled" }]));
    assert_eq!(data["requested"]["status"], "REQUESTED");
    assert_eq!(data["documentHistory"]["changes"], json!([]), "a task's id is not a document's");
}
