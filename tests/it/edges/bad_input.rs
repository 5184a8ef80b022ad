//! What is wrong on purpose, at every edge: the right error, no panic, nothing lost.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use serde_json::{Value, json};
use tests::{
    EnvironmentVariables, HttpResponse, ProductHandle, ProductInstance, SignedInUser, WAIT_TIMEOUT, eventually, request,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// How many made-up documents are sent.
const DOCUMENT_COUNT: usize = 300;

/// Pieces of documents, in no order that makes sense.
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
async fn nonsense_is_refused_at_every_edge_and_nothing_is_lost() {
    let mut environment = EnvironmentVariables::new();
    environment.insert("MEDHUB__LIMITS__ENABLED".into(), "false".into());
    environment.insert("MEDHUB__HTTP__REQUEST_TIMEOUT_MS".into(), "10000".into());
    let product = ProductInstance::with(environment).await;
    let admin = SignedInUser::found(&product, "ada", "acme").await;
    let draft = "draftProposal(input: { opportunityId: \"036:X\", title: \"Kept\" })";
    let before = admin.change(draft, json!({})).await;

    made_up_documents_are_answered(&product, &admin.token).await;
    documents_that_ask_for_too_much_are_refused(&admin).await;
    odd_requests_are_refused(&product, &admin.token).await;
    slow_clients_are_let_go(&product).await;

    let kept = admin
        .ask_since(&before, "query($id: UUID!) { proposal(id: $id) { title version } }", json!({ "id": before.id }))
        .await;
    assert_eq!(kept["proposal"], json!({ "title": "Kept", "version": 1 }));
    // An engine that is busy with other tests may take longer to answer than the product gives it.
    eventually(async || {
        let ready = HttpResponse::to(request(&product, "GET", "/ready", None)).await;
        anyhow::ensure!(ready.status.as_u16() == 200 && ready.body["ready"] == true, "{}", ready.body);
        anyhow::Ok(())
    })
    .await;
    // All of it was measured, and none of it failed by our fault but what the slow clients were let go with.
    let slo = HttpResponse::to(request(&product, "GET", "/slo", None)).await;
    let number = |path: &str| slo.body.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{}", slo.body));
    assert!(number("/availability/requests") >= 300.0 && number("/availability/failed") <= 50.0, "{}", slo.body);
    assert!(number("/latency/p99_ms") >= number("/latency/p50_ms"), "{}", slo.body);
    assert_eq!(slo.body["freshness"]["read_models"].as_object().unwrap().len(), 4, "{}", slo.body);
}

/// Documents of pieces that do not belong together, the same ones in every run.
async fn made_up_documents_are_answered(product: &ProductHandle, token: &str) {
    let mut dice = ChaCha8Rng::seed_from_u64(42);
    let mut roll = |sides: usize| usize::try_from(dice.next_u32()).unwrap() % sides;
    for _ in 0..DOCUMENT_COUNT {
        let document: Vec<_> = (0..=roll(20)).map(|_| DOCUMENT_PIECES[roll(DOCUMENT_PIECES.len())]).collect();
        let document = document.join(" ");
        let answer =
            HttpResponse::to(request(product, "POST", "/graphql", Some(token)).json(&json!({ "query": document })))
                .await;
        assert_eq!(answer.status.as_u16(), 200, "{document}: {}", answer.body);
        for error in answer.body["errors"].as_array().into_iter().flatten() {
            let code = error["extensions"]["code"].as_str().unwrap_or_else(|| panic!("{document}: {error}"));
            assert!(!["INTERNAL", "UNAVAILABLE", "TIMEOUT"].contains(&code), "{document}: {error}");
        }
    }
}

async fn documents_that_ask_for_too_much_are_refused(admin: &SignedInUser<'_>) {
    let refused = async |document: &str| {
        let answer = admin.ask(document, json!({})).await;
        answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    };
    let deep = format!("{{ {} __typename {} }}", "... { ".repeat(60), "}".repeat(60));
    let aliases = (0..200).map(|number| format!("a{number}: __typename")).collect::<Vec<_>>().join(" ");
    let greedy = (0..30)
        .map(|number| format!("a{number}: proposals(first: 100) {{ edges {{ node {{ id title }} }} }} "))
        .collect::<Vec<_>>()
        .join(" ");
    let cycle = "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }";
    for document in [deep, format!("{{ {aliases} }}"), format!("{{ {greedy} }}"), cycle.to_owned(), "x".repeat(20_000)]
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
    let answer = admin.ask(&titled, json!({})).await;
    assert_eq!(
        answer["errors"][0]["extensions"],
        json!({ "code": "INVALID_INPUT", "field": "input.title" }),
        "{answer}"
    );
}

async fn odd_requests_are_refused(product: &ProductHandle, token: &str) {
    let big = vec![b'x'; 2 * 1024 * 1024];
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    for (what, status, method, path, kind, body) in [
        ("a body that is too long", 413, "POST", "/graphql", "application/json", big.clone()),
        ("the same over REST", 413, "POST", "/api/v1/resources", "application/json", big),
        (
            "the same for ingest, which takes longer ones",
            413,
            "POST",
            "/ingest",
            "application/json",
            vec![b' '; 26 << 20],
        ),
        ("no JSON", 400, "POST", "/graphql", "application/json", b"{".to_vec()),
        ("no JSON over REST", 400, "POST", "/api/v1/resources", "application/json", b"\xff\xfe".to_vec()),
        ("lists in lists", 400, "POST", "/api/v1/resources", "application/json", deep.clone().into_bytes()),
        ("lists in lists for ingest", 400, "POST", "/ingest", "application/json", deep.into_bytes()),
        ("another kind of body", 415, "POST", "/graphql", "text/plain", b"{}".to_vec()),
        ("another kind over REST", 415, "POST", "/api/v1/resources", "text/plain", b"{}".to_vec()),
        ("a batch", 400, "POST", "/graphql", "application/json", b"[{\"query\":\"{ __typename }\"}]".to_vec()),
        ("an id that is none", 400, "GET", "/api/v1/resources/7", "application/json", vec![]),
        ("a path that is none", 404, "GET", "/api/v1/nothing", "application/json", vec![]),
        ("a method that is none", 405, "PATCH", "/api/v1/resources", "application/json", vec![]),
        ("a parameter that is none", 400, "GET", "/api/v1/resources?frist=1", "application/json", vec![]),
        ("a field that is none", 400, "POST", "/api/v1/resources", "application/json", b"{\"nmae\":\"x\"}".to_vec()),
    ] {
        let sent = request(product, method, path, Some(token)).header("content-type", kind).body(body);
        let answer = HttpResponse::to(sent).await;
        assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.body);
        assert!(!answer.body.to_string().contains("panicked"), "{what}");
    }
    let tag = request(product, "PUT", "/api/v1/resources/01890a5d-ac96-774b-bcce-b302099a8057", Some(token));
    let tag = tag.header("if-match", "W/none").json(&json!({ "name": "x", "kind": "other", "body": "x" }));
    assert_eq!(HttpResponse::to(tag).await.body["field"], "If-Match");
}

/// Clients that send a request so slowly that it never ends, while others are served.
async fn slow_clients_are_let_go(product: &ProductHandle) {
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
    let served: Value = product.graphql("{ __typename }", json!({})).await;
    assert_eq!(served["data"]["__typename"], "Query");
    for mut stream in slow {
        let mut answer = vec![];
        let ended = timeout(WAIT_TIMEOUT, stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "a slow client is still waited for");
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 503"),
            "{answer}"
        );
    }
}
