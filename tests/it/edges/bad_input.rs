//! Invalid requests at every edge: the right error, no panic, no loss of data.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use serde_json::{Value, json};
use tests::{
    EnvironmentVariables, HttpResponse, ProductHandle, ProductInstance, SignedInUser, WAIT_TIMEOUT, build_request,
    eventually,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Number of random documents that are sent.
const DOCUMENT_COUNT: usize = 300;

/// Pieces of documents, which are combined at random.
const DOCUMENT_PIECES: [&str; 24] = [
    "{",
    "}",
    "(",
    ")",
    "query",
    "mutation",
    "subscription",
    "fragment x on Query",
    "...x",
    "... on Proposal",
    "proposal(id: \"1\")",
    "proposals",
    "first: 1000000000000",
    "$v: Int!",
    "@skip(if: true)",
    "__schema",
    "me { user }",
    "opportunities(first: -1)",
    "\"\\u0000\"",
    "\u{1F600}",
    "null",
    "[[[[[[[[[[",
    "# comment\n",
    "draftProposal(input: {})",
];

#[tokio::test]
async fn invalid_requests_are_refused_at_every_edge_and_no_data_is_lost() {
    let mut environment = EnvironmentVariables::new();
    environment.insert("MEDHUB__LIMITS__ENABLED".into(), "false".into());
    environment.insert("MEDHUB__HTTP__REQUEST_TIMEOUT_MS".into(), "10000".into());
    let product = ProductInstance::start_with(environment).await;
    let admin = SignedInUser::register_company(&product, "ada", "acme").await;
    let draft = "draftProposal(input: { opportunityId: \"036:X\", title: \"Kept\" })";
    let before = admin.apply_change(draft, json!({})).await;

    random_documents_are_answered(&product, &admin.token).await;
    too_expensive_documents_are_refused(&admin).await;
    malformed_requests_are_refused(&product, &admin.token).await;
    slow_clients_are_disconnected(&product).await;

    let proposal = admin
        .query_since(&before, "query($id: UUID!) { proposal(id: $id) { title version } }", json!({ "id": before.id }))
        .await;
    assert_eq!(proposal["proposal"], json!({ "title": "Kept", "version": 1 }));
    // An engine that is busy with other tests may answer later than the product's time-out.
    eventually(async || {
        let ready = HttpResponse::from_request(build_request(&product, "GET", "/ready", None)).await;
        anyhow::ensure!(ready.status.as_u16() == 200 && ready.body["ready"] == true, "{}", ready.body);
        anyhow::Ok(())
    })
    .await;
    // All requests were measured, and only requests of the disconnected slow clients failed by the product's fault.
    let slo = HttpResponse::from_request(build_request(&product, "GET", "/slo", None)).await;
    let number = |path: &str| slo.body.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{}", slo.body));
    assert!(number("/availability/requests") >= 300.0 && number("/availability/failed") <= 50.0, "{}", slo.body);
    assert!(number("/latency/p99_ms") >= number("/latency/p50_ms"), "{}", slo.body);
    assert_eq!(slo.body["freshness"]["read_models"].as_object().unwrap().len(), 5, "{}", slo.body);
}

/// Sends documents of random pieces, the same in every run.
async fn random_documents_are_answered(product: &ProductHandle, token: &str) {
    let mut random = ChaCha8Rng::seed_from_u64(42);
    let mut below = |limit: usize| usize::try_from(random.next_u32()).unwrap() % limit;
    for _ in 0..DOCUMENT_COUNT {
        let document: Vec<_> = (0..=below(20)).map(|_| DOCUMENT_PIECES[below(DOCUMENT_PIECES.len())]).collect();
        let document = document.join(" ");
        let answer = HttpResponse::from_request(
            build_request(product, "POST", "/graphql", Some(token)).json(&json!({ "query": document })),
        )
        .await;
        assert_eq!(answer.status.as_u16(), 200, "{document}: {}", answer.body);
        for error in answer.body["errors"].as_array().into_iter().flatten() {
            let code = error["extensions"]["code"].as_str().unwrap_or_else(|| panic!("{document}: {error}"));
            assert!(!["INTERNAL", "UNAVAILABLE", "TIMEOUT"].contains(&code), "{document}: {error}");
        }
    }
}

async fn too_expensive_documents_are_refused(admin: &SignedInUser<'_>) {
    let refused = async |document: &str| {
        let answer = admin.send_document(document, json!({})).await;
        answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    };
    let deep = format!("{{ {} __typename {} }}", "... { ".repeat(60), "}".repeat(60));
    let aliases = (0..200).map(|number| format!("a{number}: __typename")).collect::<Vec<_>>().join(" ");
    let many_lists = (0..30)
        .map(|number| format!("a{number}: proposals(first: 100) {{ edges {{ node {{ id title }} }} }} "))
        .collect::<Vec<_>>()
        .join(" ");
    let cycle = "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }";
    for document in
        [deep, format!("{{ {aliases} }}"), format!("{{ {many_lists} }}"), cycle.to_owned(), "x".repeat(20_000)]
    {
        assert_eq!(refused(&document).await, "INVALID_QUERY", "{}", &document[..60]);
    }
    for document in [
        "{ proposals(first: 101) { totalCount } }",
        "{ proposals(after: \"none\") { totalCount } }",
        "{ proposal(id: \"7\") { id } }",
        "{ proposals(phase: DRAFT, opportunityId: \"036:X\") { totalCount } }",
    ] {
        assert_eq!(refused(document).await, "INVALID_INPUT", "{document}");
    }
    let long = "x".repeat(301);
    let titled = format!(
        "mutation {{ draftProposal(input: {{ opportunityId: \"036:X\", title: \"{long}\" }}) {{ __typename }} }}"
    );
    let answer = admin.send_document(&titled, json!({})).await;
    assert_eq!(
        answer["errors"][0]["extensions"],
        json!({ "code": "INVALID_INPUT", "field": "input.title" }),
        "{answer}"
    );
}

async fn malformed_requests_are_refused(product: &ProductHandle, token: &str) {
    let big = vec![b'x'; 2 * 1024 * 1024];
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    for (what, status, method, path, kind, body) in [
        ("a body that is too long", 413, "POST", "/graphql", "application/json", big.clone()),
        ("the same over REST", 413, "POST", "/api/v1/resources", "application/json", big),
        (
            "the same for ingest, which has a higher limit",
            413,
            "POST",
            "/ingest",
            "application/json",
            vec![b' '; 26 << 20],
        ),
        ("invalid JSON", 400, "POST", "/graphql", "application/json", b"{".to_vec()),
        ("invalid JSON over REST", 400, "POST", "/api/v1/resources", "application/json", b"\xff\xfe".to_vec()),
        ("nested lists", 400, "POST", "/api/v1/resources", "application/json", deep.clone().into_bytes()),
        ("nested lists for ingest", 400, "POST", "/ingest", "application/json", deep.into_bytes()),
        ("another media type", 415, "POST", "/graphql", "text/plain", b"{}".to_vec()),
        ("another media type over REST", 415, "POST", "/api/v1/resources", "text/plain", b"{}".to_vec()),
        ("a batch", 400, "POST", "/graphql", "application/json", b"[{\"query\":\"{ __typename }\"}]".to_vec()),
        ("an invalid id", 400, "GET", "/api/v1/resources/7", "application/json", vec![]),
        ("an unknown path", 404, "GET", "/api/v1/nothing", "application/json", vec![]),
        ("an unsupported method", 405, "PATCH", "/api/v1/resources", "application/json", vec![]),
        ("an unknown parameter", 400, "GET", "/api/v1/resources?frist=1", "application/json", vec![]),
        ("an unknown field", 400, "POST", "/api/v1/resources", "application/json", b"{\"nmae\":\"x\"}".to_vec()),
    ] {
        let sent = build_request(product, method, path, Some(token)).header("content-type", kind).body(body);
        let answer = HttpResponse::from_request(sent).await;
        assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.body);
        assert!(!answer.body.to_string().contains("panicked"), "{what}");
    }
    let tag = build_request(product, "PUT", "/api/v1/resources/01890a5d-ac96-774b-bcce-b302099a8057", Some(token));
    let tag = tag.header("if-match", "W/none").json(&json!({ "name": "x", "kind": "other", "body": "x" }));
    assert_eq!(HttpResponse::from_request(tag).await.body["field"], "If-Match");
}

/// Clients that never complete their request are disconnected, and others are answered meanwhile.
async fn slow_clients_are_disconnected(product: &ProductHandle) {
    let address = product.http().replace("http://", "");
    let mut slow = vec![];
    for _ in 0..50 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream
            .write_all(
                b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
            )
            .await
            .unwrap();
        slow.push(stream);
    }
    let other_answer: Value = product.send_graphql("{ __typename }", json!({})).await;
    assert_eq!(other_answer["data"]["__typename"], "Query");
    for mut stream in slow {
        let mut answer = vec![];
        let ended = timeout(WAIT_TIMEOUT, stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "a slow client is still connected");
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 503"),
            "{answer}"
        );
    }
}
