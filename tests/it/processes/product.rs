//! Document analysis in the running product, with a worker that uses the APIs, and the command line of operators.

use serde_json::{Value, json};
use tests::{
    HttpResponse, SignedInUser, build_request, eventually, json_lines, output_text, shared_product, unique_name,
};

const TASKS: &str = "{ tasks(first: 50) { edges { node { id kind status subjectId } } } }";

/// The tasks of a document, by kind.
async fn task_kinds(user: &SignedInUser<'_>, document: &str) -> Vec<String> {
    let answer = user.send_document(TASKS, json!({})).await;
    let edges = answer["data"]["tasks"]["edges"].as_array().cloned().unwrap_or_default();
    let mut kinds: Vec<_> = edges
        .iter()
        .filter(|edge| edge["node"]["subjectId"] == document)
        .map(|edge| edge["node"]["kind"].as_str().unwrap_or_default().to_owned())
        .collect();
    kinds.sort();
    kinds
}

async fn wait_for_tasks(user: &SignedInUser<'_>, document: &str, expected: &[&str]) {
    eventually(async || {
        let kinds = task_kinds(user, document).await;
        if kinds == expected { Ok(()) } else { Err(format!("{kinds:?}")) }
    })
    .await;
}

#[tokio::test]
async fn an_upload_leads_to_tasks_for_a_worker_and_to_a_notification() {
    let (product, company) = (shared_product().await, unique_name("acme"));
    let ada = SignedInUser::register_company(product, "ada", &company).await;
    let issued = ada
        .send_document(
            "mutation { issueApiKey(input: { name: \"reader\", scopes: [TASKS, READ] }) { key } }",
            json!({}),
        )
        .await;
    let worker = issued["data"]["issueApiKey"]["key"].as_str().unwrap_or_else(|| panic!("{issued}")).to_owned();
    let upload = build_request(product, "POST", "/api/v1/documents?fileName=sow.txt", Some(&ada.token));
    let uploaded = HttpResponse::from_request(upload.header("content-type", "text/plain").body("Pumps.")).await;
    assert_eq!(uploaded.status.as_u16(), 201, "{}", uploaded.body);
    let id = uploaded.body["id"].as_str().unwrap().to_owned();

    wait_for_tasks(&ada, &id, &["EXTRACT_TEXT"]).await;
    let listed = product.run_medhub(&["processes", "list", "--tenant", &company, "--json"]).await;
    let rows = json_lines(&listed);
    assert_eq!(rows.len(), 1, "{}", output_text(&listed));
    assert_eq!((&rows[0]["instance"], &rows[0]["waits_for"]), (&json!(id), &json!("the text")), "{}", rows[0]);
    let table = output_text(&product.run_medhub(&["processes", "list", "--tenant", &company]).await);
    assert!(table.contains("waiting for the text since"), "{table}");

    let trail = product.run_medhub(&["trail", uploaded.header("x-correlation-id"), "--json"]).await;
    let trail = json_lines(&trail).pop().unwrap_or_else(|| panic!("{}", output_text(&trail)));
    let events = [&trail["events"][0], &trail["events"][1]];
    assert_eq!(events.map(|event| &event["eventType"]), ["document.uploaded", "task.requested"], "{trail}");
    assert_eq!(events[1]["parentId"], events[0]["eventId"], "{trail}");

    let path = format!("/api/v1/documents/{id}/text?pages=1&method=native");
    let text = HttpResponse::from_request(build_request(product, "PUT", &path, Some(&worker)).body("Pumps.")).await;
    assert_eq!(text.status.as_u16(), 200, "{}", text.body);
    wait_for_tasks(&ada, &id, &["EXTRACT_REQUIREMENTS", "EXTRACT_TEXT"]).await;
    let send = async |mutation: &str| -> Value {
        let document = format!("mutation($id: UUID!) {{ outcome: {mutation} {{ ... on Accepted {{ version }} }} }}");
        product.send_graphql_as(Some(&worker), &document, json!({ "id": id })).await["data"]["outcome"].clone()
    };
    let requirements = "recordDocumentRequirements(id: $id, requirements: [])";
    assert_eq!(send(requirements).await["version"], 3);
    wait_for_tasks(&ada, &id, &["ANALYSE_DOCUMENT", "EXTRACT_REQUIREMENTS", "EXTRACT_TEXT"]).await;
    let analysis = "recordDocumentAnalysis(id: $id, analysis: { summary: \"Pumps.\", risks: [], model: \"m\" })";
    assert_eq!(send(analysis).await["version"], 4);

    let titles = eventually(async || {
        let inbox = "{ notifications { edges { node { title about } } } }";
        let answer = ada.send_document(inbox, json!({})).await;
        let edges = answer["data"]["notifications"]["edges"].as_array().cloned().unwrap_or_default();
        if edges.is_empty() { Err(answer.to_string()) } else { Ok(edges) }
    })
    .await;
    assert_eq!(titles.len(), 1, "{titles:?}");
    assert_eq!(titles[0]["node"]["title"], "Document analysed: sow.txt");
    let after =
        product.run_medhub(&["processes", "list", "--tenant", &company, "--status", "finished", "--json"]).await;
    assert_eq!(json_lines(&after)[0]["status"], "finished", "{}", output_text(&after));
}

#[tokio::test]
async fn operators_cancel_an_instance_and_wrong_names_are_refused() {
    let (product, company) = (shared_product().await, unique_name("acme"));
    let ada = SignedInUser::register_company(product, "ada", &company).await;
    let upload = build_request(product, "POST", "/api/v1/documents?fileName=a.txt", Some(&ada.token));
    let id = HttpResponse::from_request(upload.body("x")).await.body["id"].as_str().unwrap().to_owned();
    wait_for_tasks(&ada, &id, &["EXTRACT_TEXT"]).await;

    let name = ["processes", "cancel", "document-analysis", &company, &id];
    let without_reason = product.run_medhub(&name).await;
    assert_eq!(without_reason.status.code(), Some(2), "{}", output_text(&without_reason));
    let cancelled = product.run_medhub(&[&name[..], &["--reason", "a duplicate"]].concat()).await;
    assert!(cancelled.status.success(), "{}", output_text(&cancelled));
    let status = eventually(async || {
        let answer = ada.send_document(TASKS, json!({})).await;
        let status = answer["data"]["tasks"]["edges"][0]["node"]["status"].clone();
        if status == "REQUESTED" { Err(answer.to_string()) } else { Ok(status) }
    })
    .await;
    assert_eq!(status, "CANCELLED");
    let resumed = product.run_medhub(&["processes", "resume", "document-analysis", &company, &id]).await;
    assert!(!resumed.status.success() && output_text(&resumed).contains("is cancelled"), "{}", output_text(&resumed));
    let unknown = product.run_medhub(&["processes", "resume", "document-analysis", &company, "nothing"]).await;
    assert!(output_text(&unknown).contains("has no instance nothing"), "{}", output_text(&unknown));
}
