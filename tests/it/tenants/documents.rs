//! The results that workers record for a document, and the correlation of all events of one operation.

use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, Row as _};
use tests::{
    AcceptedChange, HttpResponse, ProductHandle, SignedInUser, build_request, error_code, eventually, shared_product,
    unique_name,
};
use uuid::Uuid;

/// A machine of a company, with its own API key.
struct WorkerClient<'a> {
    product: &'a ProductHandle,
    key: String,
}

impl WorkerClient<'_> {
    async fn send_document(&self, document: &str, variables: Value) -> Value {
        self.product.send_graphql_as(Some(&self.key), document, variables).await
    }

    async fn send_mutation(&self, field: &str, id: &Value) -> Value {
        let document = format!(
            "mutation($id: UUID!) {{ outcome: {field} {{ ... on Accepted {{ version repeated consistencyToken }}
            ... on Rejected {{ rule }} }} }}"
        );
        let answer = self.send_document(&document, json!({ "id": id })).await;
        assert!(answer["errors"].is_null(), "{field}: {answer}");
        answer["data"]["outcome"].clone()
    }
}

async fn issue_key(admin: &SignedInUser<'_>, name: &str, scopes: &str) -> String {
    let issue = format!("mutation {{ issueApiKey(input: {{ name: \"{name}\", scopes: [{scopes}] }}) {{ key }} }}");
    let issued = admin.send_document(&issue, json!({})).await;
    issued["data"]["issueApiKey"]["key"].as_str().unwrap_or_else(|| panic!("{issued}")).to_owned()
}

const REQUIREMENTS: &str = "recordDocumentRequirements(id: $id, requirements: [
    { number: \"L.3.2\", kind: OBLIGATION, text: \"Infusion pumps are delivered within ten days.\", page: 2 },
    { kind: DEADLINE, text: \"Questions until Friday.\", due: \"2026-12-04T17:00:00Z\" }])";
const ANALYSIS: &str = "recordDocumentAnalysis(id: $id, analysis: { summary: \"Pumps for one hospital.\", fitScore: 80,
    risks: [\"Ten days are short.\"], model: \"reader-1\" })";

#[tokio::test]
async fn a_worker_records_the_stages_of_a_document_and_its_company_finds_the_results() {
    let (product, company) = (shared_product().await, unique_name("acme"));
    let admin = SignedInUser::register_company(product, "ada", &company).await;
    let ann = admin.add_member("ann", "CONTRIBUTOR", &company).await;
    let eve = SignedInUser::register_company(product, "eve", &unique_name("other")).await;
    let worker = WorkerClient { product, key: issue_key(&admin, "reader", "TASKS, READ").await };
    let foreign = WorkerClient { product, key: issue_key(&eve, "reader", "TASKS, READ").await };

    let upload = build_request(product, "POST", "/api/v1/documents?fileName=sow.pdf", Some(&ann.token));
    let uploaded = HttpResponse::from_request(upload.header("content-type", "application/pdf").body("%PDF-1.7")).await;
    let id = uploaded.body["id"].clone();
    let path = format!("/api/v1/documents/{}/text", id.as_str().unwrap());
    let put = async |token: &str, query: &str, text: Vec<u8>| {
        HttpResponse::from_request(build_request(product, "PUT", &format!("{path}?{query}"), Some(token)).body(text))
            .await
    };
    let text = "Infusion pumps – delivered within ten days.";
    let plain = "pages=2&method=native&language=en";

    assert_eq!(put(&ann.token, plain, text.into()).await.status.as_u16(), 403, "only workers record the text");
    assert_eq!(put(&foreign.key, plain, text.into()).await.status.as_u16(), 404);
    assert_eq!(put(&worker.key, "pages=2&method=guessed", text.into()).await.body["field"], "method");
    assert_eq!(put(&worker.key, plain, vec![0xff, 0xfe]).await.body["field"], "body");
    assert_eq!(put(&worker.key, plain, vec![b'x'; (20 << 20) + 1]).await.status.as_u16(), 413);
    assert_eq!(worker.send_mutation(REQUIREMENTS, &id).await["rule"], "OUT_OF_ORDER");
    let failed = worker.send_mutation("recordDocumentFailure(id: $id, stage: TEXT, reason: \"a scan\")", &id).await;
    assert_eq!(failed["version"], 2, "{failed}");

    let read = put(&worker.key, plain, text.into()).await;
    assert_eq!((read.status.as_u16(), &read.body["version"]), (200, &json!(3)), "{}", read.body);
    let repeated = put(&worker.key, plain, text.into()).await;
    assert_eq!((repeated.status.as_u16(), &repeated.body["version"]), (200, &json!(3)), "a repetition changes nothing");
    let other = put(&worker.key, plain, "Something else.".into()).await;
    assert_eq!((other.status.as_u16(), other.problem_code()), (409, "ALREADY_DONE"), "{}", other.body);
    assert_eq!(worker.send_mutation(REQUIREMENTS, &id).await["version"], 4);
    let done = worker.send_mutation(ANALYSIS, &id).await;
    assert_eq!(done["version"], 5, "{done}");
    let member = ann
        .send_document(&format!("mutation($id: UUID!) {{ {ANALYSIS} {{ __typename }} }}"), json!({ "id": id }))
        .await;
    assert_eq!(error_code(&member), "FORBIDDEN");
    let invalid = worker.send_document(
        "mutation($id: UUID!) { recordDocumentAnalysis(id: $id, analysis: { summary: \"x\", fitScore: 101, model: \"m\" })
        { __typename } }",
        json!({ "id": id }),
    );
    assert_eq!(invalid.await["errors"][0]["extensions"]["field"], "analysis.fitScore");

    let since = AcceptedChange {
        id: id.as_str().unwrap().to_owned(),
        token: done["consistencyToken"].as_str().unwrap().to_owned(),
        version: 5,
    };
    let document = "query($id: UUID!) { document(id: $id) { status pages failure requirements { number kind text due }
        analysis { summary fitScore risks model } }
        searchWorkspace(query: \"when are infusion pumps delivered\", first: 5) { id part passage } }";
    let answer = ann.query_since(&since, document, json!({ "id": id })).await;
    assert_eq!(
        answer["document"],
        json!({
            "status": "ANALYSED", "pages": 2, "failure": null,
            "requirements": [
                { "number": "L.3.2", "kind": "OBLIGATION", "due": null,
                  "text": "Infusion pumps are delivered within ten days." },
                { "number": null, "kind": "DEADLINE", "text": "Questions until Friday.", "due": "2026-12-04T17:00:00+00:00" },
            ],
            "analysis": { "summary": "Pumps for one hospital.", "fitScore": 80, "risks": ["Ten days are short."],
                          "model": "reader-1" },
        })
    );
    let hits = answer["searchWorkspace"].as_array().unwrap();
    let parts: Vec<_> = hits.iter().filter(|hit| hit["id"] == id).filter_map(|hit| hit["part"].as_str()).collect();
    assert!(parts.contains(&"requirements") && parts.contains(&"analysis"), "{hits:?}");
    let foreign_answer = eve.query_since(&since, document, json!({ "id": id })).await;
    assert_eq!(foreign_answer, json!({ "document": null, "searchWorkspace": [] }));

    let response = build_request(product, "GET", &path, Some(&ann.token))
        .header("consistency-token", read.header("consistency-token"));
    let response = response.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(response.text().await.unwrap(), text);
    let hidden = build_request(product, "GET", &path, Some(&eve.token)).send().await.unwrap();
    assert_eq!(hidden.status().as_u16(), 404);
}

#[tokio::test]
async fn the_events_of_one_operation_are_correlated_in_the_log_and_in_analytics() {
    let (product, company) = (shared_product().await, unique_name("acme"));
    let admin = SignedInUser::register_company(product, "ada", &company).await;
    let worker = issue_key(&admin, "reader", "TASKS").await;
    let operation = Uuid::new_v4().to_string();
    let post = async |token: &str, headers: &[(&str, &str)], document: &str| {
        let mut request = build_request(product, "POST", "/graphql", Some(token)).json(&json!({ "query": document }));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        HttpResponse::from_request(request).await
    };
    let request_task =
        "mutation { requestTask(input: { kind: GENERATE_PROPOSAL, subjectKind: OPPORTUNITY, subjectId: \"036:X\" })
        { ... on Accepted { id } } }";
    let requested = post(&admin.token, &[("x-correlation-id", &operation)], request_task).await;
    assert_eq!(requested.header("x-correlation-id"), operation);
    let task = requested.body["data"]["requestTask"]["id"].as_str().unwrap().to_owned();

    let mut log = PgConnection::connect(product.variable("DATABASE_URL")).await.unwrap();
    let requested: Uuid = sqlx::query_scalar("select event_id from events where aggregate_id = $1")
        .bind(format!("{company}:{task}"))
        .fetch_one(&mut log)
        .await
        .unwrap();
    let requested = requested.to_string();
    for bad in [("x-correlation-id", "mine"), ("x-causation-id", "7")] {
        let refused = post(&admin.token, &[bad], request_task).await;
        assert_eq!((refused.status.as_u16(), error_code(&refused.body)), (400, "INVALID_INPUT"), "{}", refused.body);
    }
    // A caller that reacts to an event names it as the causation, at every edge.
    let upload = build_request(product, "POST", "/api/v1/documents?fileName=x.txt", Some(&admin.token));
    let upload = upload.header("x-correlation-id", &operation).header("x-causation-id", &requested).body("x");
    let uploaded = HttpResponse::from_request(upload).await;
    assert_eq!(uploaded.status.as_u16(), 201, "{}", uploaded.body);
    let failed = format!(
        "mutation {{ recordDocumentFailure(id: {}, stage: TEXT, reason: \"empty\") {{ ... on Accepted {{ version }} }} }}",
        uploaded.body["id"]
    );
    let origin = [("x-correlation-id", operation.as_str()), ("x-causation-id", requested.as_str())];
    let failed = post(&worker, &origin, &failed).await;
    assert_eq!(failed.body["data"]["recordDocumentFailure"]["version"], 2, "{}", failed.body);

    let rows = sqlx::query(
        "select event_type, metadata ->> 'correlation_id' as correlation, coalesce(metadata ->> 'causation_id', '') as causation
         from events where metadata ->> 'correlation_id' = $1 and metadata ->> 'user_id' not like 'system:%'
         order by position",
    );
    let rows = rows.bind(&operation).fetch_all(&mut log).await.unwrap();
    let found: Vec<(String, String)> = rows.iter().map(|row| (row.get("event_type"), row.get("causation"))).collect();
    let expected = [("task.requested", ""), ("document.uploaded", &*requested), ("document.failed", &*requested)];
    assert_eq!(found, expected.map(|(kind, causation)| (kind.to_owned(), causation.to_owned())));

    // Analysts see the same through Kafka.
    let sql = format!(
        "select event_type, causation_id from {}.events where correlation_id = '{operation}' and user_id not like 'system:%'
         order by position format TSV",
        product.variable("MEDHUB__CLICKHOUSE__DATABASE")
    );
    let expected = format!("task.requested\t\ndocument.uploaded\t{requested}\ndocument.failed\t{requested}\n");
    eventually(async || {
        let answer = product.query_clickhouse(&sql).await;
        if answer == expected { Ok(()) } else { Err(answer) }
    })
    .await;
}
