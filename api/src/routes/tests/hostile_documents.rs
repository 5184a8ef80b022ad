//! Documents that would crash or block a process without limits.

use reqwest::StatusCode;
use serde_json::json;

use super::{ServedRoutes, post_document, start_server};

/// One document for each limit.
pub(in crate::routes) fn hostile_documents() -> Vec<String> {
    let n = 2_500;
    let spread = |spreads: usize, levels: usize| {
        let next = |level: usize| format!("...f{level} ").repeat(spreads);
        let inner =
            (0..levels).map(|n| format!("fragment f{n} on Query{{{}}}", next(n + 1))).collect::<Vec<_>>().concat();
        format!("query{{...f0}}{inner}fragment f{levels} on Query{{__typename}}")
    };
    let searches = (0..40)
        .map(|n| format!("a{n}:searchOpportunities(query:\"x\",first:1){{awarded}}"))
        .collect::<Vec<_>>()
        .concat();
    vec![
        format!("{{opportunity(id:{}{}){{id}}}}", "[".repeat(n), "]".repeat(n)),
        format!("{{opportunity(id:{}1{}){{id}}}}", "{a:".repeat(n), "}".repeat(n)),
        format!("query($v:{}Int{}){{__typename}}", "[".repeat(n), "]".repeat(n)),
        format!("query($v:Int={}){{__typename}}", "[".repeat(n)),
        format!("{}{}", "{a".repeat(n), "}".repeat(n)),
        format!("{{{}a{}}}", "...{".repeat(n), "}".repeat(n)),
        format!("{{a @skip(if:{}{})}}", "[".repeat(n), "]".repeat(n)),
        spread(3, 30),
        spread(2, 12),
        format!("{{{}}}fragment f on Query{{{searches}}}", "...f ".repeat(60)),
        format!("{{{}}}", "opportunity(id:\"097:X\"){id}".repeat(450)),
        format!("{{__schema{{types{{{}name{}}}}}}}", "fields{type{".repeat(4), "}}".repeat(4)),
        format!("{{{}}}", "x".repeat(15_000)),
        format!("{{{}}}", "nothing ".repeat(1_500)),
        "query A{a}".repeat(1_000),
        (0..1_000).map(|n| format!("query A{n}{{a}}")).collect::<Vec<_>>().concat(),
        format!("query({}){{a}}", "$a:Int".repeat(2_000)),
        format!("{{a({})}}", "b:1 ".repeat(3_000)),
        format!("{{a {}}}", "@skip(if:true)".repeat(1_000)),
        format!("subscription{{{}}}", "opportunityDashboard{total} ".repeat(500)),
        format!("{{a(b:\"\"\"{}", "\n".repeat(16_000)),
        format!("{{a #{}", "#".repeat(16_000)),
    ]
}

#[tokio::test]
async fn hostile_documents_are_refused_and_later_ones_are_served() {
    let server = start_server(ServedRoutes::Api, None).await;
    for document in hostile_documents() {
        let prefix = document[..60.min(document.len())].to_owned();
        let (_, response) = post_document(&server, "application/json", json!({ "query": document }).to_string()).await;
        assert_eq!(response["errors"][0]["extensions"]["code"], "INVALID_QUERY", "{prefix}: {response}");
        assert!(response.to_string().len() < 40_000, "{prefix}: the response has {} bytes", response.to_string().len());
    }
    for depth in [70, 100_000] {
        let value = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let body = format!(r#"{{"query":"query($v:[Int]){{__typename}}","variables":{{"v":{value}}}}}"#);
        let (status, response) = post_document(&server, "application/json", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{response}");
    }
    let many = json!({ "query": "query($v:[Int]){__typename}", "variables": { "v": vec![1; 30_000] } }).to_string();
    assert_eq!(post_document(&server, "application/json", many).await.0, StatusCode::BAD_REQUEST);
    let (_, response) =
        post_document(&server, "application/json", json!({ "query": "{ __typename }" }).to_string()).await;
    assert_eq!(response["data"]["__typename"], "Query");
}
