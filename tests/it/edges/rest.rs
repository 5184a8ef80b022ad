//! Resources and opportunities over REST, and the OpenAPI description, tested by a program that knows only that.

use serde_json::json;
use tests::{
    EnvironmentVariables, HttpResponse, ProductHandle, ProductInstance, SignedInUser, WAIT_TIMEOUT, build_request,
    medhub_local, output_text, python_command, run_program, shared_product, token_for_everything_until, unique_name,
};

/// The program that calls every operation of a description with valid and invalid values.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

#[tokio::test]
async fn resources_are_created_read_changed_and_deleted() {
    let product = shared_product().await;
    let admin = SignedInUser::register_company(product, "ada", &unique_name("acme")).await;
    let eve = SignedInUser::register_company(product, "eve", &unique_name("other")).await;
    let (ada, eve) = (admin.token.as_str(), eve.token.as_str());
    let body = json!({ "name": "Past work", "kind": "past_performance", "body": "Lifts.", "tags": ["lift"] });
    let call = async |method: &str,
                      path: &str,
                      token: &str,
                      change: &dyn Fn(reqwest::RequestBuilder) -> reqwest::RequestBuilder| {
        HttpResponse::from_request(change(build_request(product, method, path, Some(token)))).await
    };
    let create = async |key: &str, body: &serde_json::Value| {
        call("POST", "/api/v1/resources", ada, &|request| request.header("idempotency-key", key).json(body)).await
    };

    let created = create("k1", &body).await;
    assert_eq!((created.status.as_u16(), created.header("etag")), (201, "\"1\""), "{}", created.body);
    let repeated = create("k1", &body).await;
    assert_eq!((&repeated.body["id"], &repeated.body["repeated"]), (&created.body["id"], &json!(true)));
    let other = create("k1", &json!({ "name": "Other", "kind": "other", "body": "x" })).await;
    assert_eq!((other.status.as_u16(), other.problem_code()), (409, "IDEMPOTENCY_KEY_REUSED"));
    let reserved = create("task-result:01890a5d-ac96-774b-bcce-b302099a8057", &body).await;
    assert_eq!((reserved.status.as_u16(), reserved.problem_code()), (400, "INVALID_INPUT"), "{}", reserved.body);

    let path = format!("/api/v1/resources/{}", created.body["id"].as_str().unwrap());
    let token = created.header("consistency-token").to_owned();
    let resource = call("GET", &path, ada, &|request| request.header("consistency-token", &token)).await;
    assert_eq!(
        (resource.status.as_u16(), &resource.body["name"], resource.header("etag")),
        (200, &json!("Past work"), "\"1\"")
    );
    let foreign = call("GET", &path, eve, &|request| request.header("consistency-token", &token)).await;
    let unknown = call("GET", "/api/v1/resources/01890a5d-ac96-774b-bcce-b302099a8057", eve, &|request| request).await;
    assert_eq!(
        (foreign.status.as_u16(), &foreign.body),
        (404, &unknown.body),
        "resources of other tenants answer like missing ones"
    );

    let changed = json!({ "name": "Past work", "kind": "past_performance", "body": "Lifts and beds." });
    let stale = call("PUT", &path, ada, &|request| request.header("if-match", "\"7\"").json(&changed)).await;
    assert_eq!((stale.status.as_u16(), &stale.body["currentVersion"]), (412, &json!(1)), "{}", stale.body);
    let put = call("PUT", &path, ada, &|request| request.header("if-match", "\"1\"").json(&changed)).await;
    assert_eq!((put.status.as_u16(), put.header("etag")), (200, "\"2\""));
    let foreign_put = call("PUT", &path, eve, &|request| request.json(&changed)).await;
    assert_eq!((foreign_put.status.as_u16(), foreign_put.problem_code()), (404, "NOT_FOUND"));
    let deleted = call("DELETE", &path, ada, &|request| request).await;
    assert_eq!(deleted.status.as_u16(), 204);
    let token = deleted.header("consistency-token").to_owned();
    let missing = call("GET", &path, ada, &|request| request.header("consistency-token", &token)).await;
    assert_eq!(missing.status.as_u16(), 404);

    for number in 0..3 {
        create(&format!("list-{number}"), &body).await;
    }
    let last = token_for_everything_until(create("list-4", &body).await.header("consistency-token"));
    let page = async |query: &str| {
        call("GET", &format!("/api/v1/resources?{query}"), ada, &|request| request.header("consistency-token", &last))
            .await
            .body
    };
    let first = page("first=3").await;
    assert_eq!((first["items"].as_array().unwrap().len(), &first["total"]), (3, &json!(4)));
    let rest = page(&format!("first=3&after={}", first["next"].as_str().unwrap())).await;
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next"]), (1, &json!(null)), "{rest}");
    anonymous_requests_read_opportunities(product).await;
}

async fn anonymous_requests_read_opportunities(product: &ProductHandle) {
    let discover = "mutation($input: DiscoverOpportunityInput!) { discoverOpportunity(input: $input) {
        ... on OpportunityAccepted { id consistencyToken } } }";
    let input = json!({ "input": { "noticeId": "n-1", "title": "Cryogenic freezers", "type": "Solicitation",
        "agency": "VETERANS AFFAIRS, DEPARTMENT OF", "solicitationNumber": "36C24526Q7100", "postedAt": "2026-03-03T12:00:00Z",
        "resourceLinks": ["https://sam.gov/files/1", "https://sam.gov/files/2", "https://sam.gov/files/1"] } });
    let created = product.send_graphql(discover, input).await["data"]["discoverOpportunity"].clone();
    let token = created["consistencyToken"].as_str().unwrap();
    let get = async |path: &str| {
        HttpResponse::from_request(build_request(product, "GET", path, None).header("consistency-token", token)).await
    };
    let list = get("/api/v1/opportunities?text=cryogenic&agency=036").await;
    assert_eq!((&list.body["total"], &list.body["items"][0]["id"]), (&json!(1), &created["id"]), "{}", list.body);
    let sorted = get("/api/v1/opportunities?text=cryogenic&order=deadline_soonest&facets=agency,set_aside").await;
    let agency = json!({ "dimension": "agency", "hasMore": false, "values": [
        { "value": "036", "label": "VETERANS AFFAIRS, DEPARTMENT OF", "count": 1, "isExact": true } ] });
    assert_eq!(sorted.body["facets"][0], agency, "{}", sorted.body);
    assert_eq!(sorted.body["facets"][1]["values"], json!([]), "{}", sorted.body);
    assert_eq!((&sorted.body["total"], &sorted.body["totalIsExact"]), (&json!(1), &json!(true)), "{}", sorted.body);
    for refused in ["order=cheapest", "order=relevance", "facets=colour", "text=a%00b", "text=***"] {
        assert_eq!(get(&format!("/api/v1/opportunities?{refused}")).await.problem_code(), "INVALID_INPUT", "{refused}");
    }
    let one = get(&format!("/api/v1/opportunities/{}", created["id"].as_str().unwrap())).await;
    assert_eq!((one.status.as_u16(), &one.body["status"]), (200, &json!("open")));
    assert_eq!(one.body["resourceLinks"], json!(["https://sam.gov/files/1", "https://sam.gov/files/2"]));
    let detail = "query($id: String!) { opportunity(id: $id) { facts { resourceLinks } } }";
    let answer = product.send_graphql_since(token, detail, json!({ "id": created["id"] })).await;
    assert_eq!(answer["data"]["opportunity"]["facts"]["resourceLinks"], one.body["resourceLinks"], "{answer}");
    assert_eq!(get("/api/v1/opportunities/036:NONE").await.status.as_u16(), 404);
    assert_eq!(get("/api/v1/opportunities?first=0").await.problem_code(), "INVALID_INPUT");
}

#[tokio::test]
async fn schemathesis_finds_no_violation_of_the_description() {
    let environment = EnvironmentVariables::from([("MEDHUB__LIMITS__ENABLED".into(), "false".into())]);
    let product = ProductInstance::start_with(environment).await;
    let admin = SignedInUser::register_company(&product, "ada", "acme").await;
    let mut schemathesis = python_command(&[SCHEMATHESIS]);
    schemathesis.args(["-c", "from schemathesis.cli import schemathesis; schemathesis()", "run"]);
    schemathesis.args(["--max-examples", "25", "--seed", "42", "--phases", "examples,coverage,fuzzing"]);
    schemathesis.args([
        "--checks",
        "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
    ]);
    schemathesis.args(["--request-timeout", &WAIT_TIMEOUT.as_secs().to_string()]);
    schemathesis.args(["-H", &format!("Authorization: Bearer {}", admin.token)]);
    schemathesis.arg(format!("{}/api/v1/openapi.json", product.http()));

    let report = tokio::task::spawn_blocking(move || run_program(&mut schemathesis)).await.unwrap();
    println!("{report}");
}

#[test]
fn the_committed_description_is_current() {
    let committed = include_str!("../../../api/openapi.json");
    let printed = std::process::Command::new(medhub_local()).args(["product", "openapi"]).output().unwrap();
    assert!(printed.status.success(), "{}", output_text(&printed));
    let current = String::from_utf8(printed.stdout).unwrap();
    assert!(
        current == committed,
        "api/openapi.json is outdated; write it again: cargo run --bin medhub -- openapi > api/openapi.json"
    );
}
