//! Tests of the schema: its text, its descriptions and its limits. They need no engine.

mod breaking_changes;

use async_graphql::Value;
use futures::StreamExt as _;
use serde_json::json;

use super::*;
use crate::http::{
    request_gate::{ClientAddress, RequestGate},
    socket_permits::SocketPermit,
};

/// A schema without stores: every resolver that needs one fails with `INTERNAL`.
fn graphql(config: &HttpConfig) -> GraphQl {
    GraphQl {
        schema: schema_builder().finish(),
        app: None,
        max_query_bytes: config.max_query_bytes,
        document_cache: ParsedDocumentCache::default(),
        limits: cost_limits(config),
    }
}

async fn first_error(document: &str) -> (Option<Value>, Option<Value>, String) {
    let answer = graphql(&HttpConfig::default()).execute(Request::new(document), &Principal::operator()).await;
    let error = answer.errors.into_iter().next().unwrap();
    let extensions = error.extensions.unwrap();
    (extensions.get("code").cloned(), extensions.get("field").cloned(), error.message)
}

#[test]
fn the_recorded_schema_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");
    if std::env::var_os("MEDHUB_RECORD").is_some() {
        return std::fs::write(path, sdl()).unwrap();
    }
    // Not `assert_eq!`: it would print both schemas in one line each.
    assert!(
        sdl() == std::fs::read_to_string(path).unwrap(),
        "write it: MEDHUB_RECORD=1 cargo test --workspace --lib recorded"
    );
}

#[tokio::test]
async fn every_item_of_the_schema_is_described() {
    let document = "{ __schema { types { name kind description enumValues { name description }
        fields { name description args { name description } } inputFields { name description } } } }";
    let answer = graphql(&HttpConfig::default()).execute(Request::new(document), &Principal::anonymous()).await;
    assert_eq!(answer.errors, []);
    let schema = answer.data.into_json().unwrap();
    let types = schema["__schema"]["types"].as_array().unwrap();
    // The types of the specification need no description.
    let builtin = |name: &str| name.starts_with("__") || ["ID", "Int", "Float", "String", "Boolean"].contains(&name);
    let own_types = types.iter().filter(|kind| !builtin(kind["name"].as_str().unwrap()));
    let undescribed: Vec<String> = own_types.flat_map(|kind| find_undescribed("", kind)).collect();
    assert_eq!(undescribed, Vec::<String>::new());
}

/// Paths of the items at and below `item` that have no description.
fn find_undescribed(path: &str, item: &serde_json::Value) -> Vec<String> {
    let path = format!("{path}/{}", item["name"].as_str().unwrap());
    let below = ["fields", "inputFields", "enumValues", "args"];
    let mut bare: Vec<String> = below
        .iter()
        .filter_map(|list| item[*list].as_array())
        .flatten()
        .flat_map(|inner| find_undescribed(&path, inner))
        .collect();
    if item["description"].as_str().unwrap_or_default().is_empty() {
        bare.push(path);
    }
    bare
}

#[test]
fn an_item_without_description_is_found() {
    let planted = json!({ "name": "T", "description": "d", "fields": [{ "name": "f", "description": null }] });
    assert_eq!(find_undescribed("", &planted), ["/T/f"]);
}

#[tokio::test]
async fn an_invalid_value_is_refused_with_its_field() {
    for (document, field) in [
        ("{ opportunities(first: 0) { totalCount } }", "first"),
        ("{ opportunities(first: 101) { totalCount } }", "first"),
        ("{ opportunities(after: \"x\") { totalCount } }", "after"),
        ("{ opportunities(filter: { naics: [\"33x\"] }) { totalCount } }", "filter.naics"),
        ("{ opportunities(filter: { text: \"a\\u0000b\" }) { totalCount } }", "filter.text"),
        ("{ opportunities(filter: { text: \"***\" }) { totalCount } }", "filter.text"),
        ("{ opportunities(orderBy: RELEVANCE) { totalCount } }", "orderBy"),
        ("{ opportunities(orderBy: RELEVANCE, filter: { text: \" \" }) { totalCount } }", "orderBy"),
        ("{ opportunities(orderBy: CHEAPEST) { totalCount } }", "orderBy"),
        // A cursor of the list in the default order.
        ("{ opportunities(orderBy: DEADLINE_SOONEST, after: \"317e30333a58\") { totalCount } }", "after"),
        ("{ opportunity(id: \"no id\") { id } }", "id"),
        ("{ searchOpportunities(query: \" \") { id } }", "query"),
        ("{ opportunityStats(filter: { setAside: \"!\" }) { total { opportunities } } }", "filter.setAside"),
        ("mutation { amendOpportunity(input: { id: \"097:X\" }) { __typename } }", "input"),
        ("mutation { amendOpportunity(input: { id: \"097:X\", naics: \"x\" }) { __typename } }", "input.naics"),
        (
            "mutation { awardOpportunity(input: { id: \"097:X\", number: \"1\", amount: -5 }) { __typename } }",
            "input.amount",
        ),
        (
            "mutation { discoverOpportunity(input: { noticeId: \"n\", postedAt: \"2026-03-01T00:00:00Z\", title: \" \",
               type: \"Solicitation\", agency: \"DEPT OF DEFENSE\" }) { __typename } }",
            "input.title",
        ),
    ] {
        let (code, named_field, message) = first_error(document).await;
        assert_eq!(
            (code, named_field),
            (Some(Value::from("INVALID_INPUT")), Some(Value::from(field))),
            "{document}: {message}"
        );
    }
}

#[tokio::test]
async fn a_value_of_the_wrong_type_is_invalid_input() {
    for document in [
        "{ opportunities(filter: { postedFrom: \"yesterday\" }) { totalCount } }",
        "mutation { awardOpportunity(input: { id: \"097:X\", number: \"1\", amount: \"1.5\" }) { __typename } }",
    ] {
        let (code, _, message) = first_error(document).await;
        assert_eq!(code, Some(Value::from("INVALID_INPUT")), "{document}: {message}");
    }
}

#[tokio::test]
async fn a_document_that_cannot_be_executed_is_invalid() {
    let deep = format!("{{ __schema {{ types {{ {}name{} }} }} }}", "ofType { ".repeat(30), " }".repeat(30));
    let page = "edges { node { id title agency { code name } description setAside naics psc link } }";
    let pages: Vec<_> = (0..6).map(|n| format!("a{n}: opportunities(first: 100) {{ {page} }}")).collect();
    let costly = format!("{{ {} }}", pages.join(" "));
    let long = format!("{{ opportunities {{ totalCount }} }} #{}", "x".repeat(20_000));
    let list = "opportunities(first: 1) { totalCount } ".repeat(8);
    let repeated = format!("{{ {} }} fragment f on Query {{ {list} }}", "...f ".repeat(47));
    for document in ["{", "{ nothing }", "{ opportunity { id } }", &deep, &costly, &repeated, &long] {
        let (code, _, message) = first_error(document).await;
        assert_eq!(code, Some(Value::from("INVALID_QUERY")), "{message}");
    }
}

#[tokio::test]
async fn the_largest_page_with_every_field_is_within_the_limits() {
    let node = "id version title description solicitationNumber noticeId type agency { code name } subTier office
                setAside naics psc postedAt responseDeadline active link awardCount awarded";
    let page = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount";
    let document = format!("{{ opportunities(first: 100) {{ {page} edges {{ cursor node {{ {node} }} }} }} }}");
    let (code, _, message) = first_error(&document).await;
    // It passed the limits and failed because the stores are unavailable.
    assert_eq!(code, Some(Value::from("INTERNAL")), "{message}");
}

#[tokio::test]
async fn the_playground_can_read_the_whole_schema() {
    // The introspection of GraphiQL 3, with its nine levels of `ofType`.
    let wrapped = format!("{}kind name{}", "kind name ofType { ".repeat(9), " }".repeat(9));
    let document = format!(
        "query IntrospectionQuery {{ __schema {{ queryType {{ name }} types {{ kind name description fields {{ name
         args {{ name type {{ {wrapped} }} defaultValue }} type {{ {wrapped} }} }} }} }} }}"
    );
    let answer = graphql(&HttpConfig::default()).execute(Request::new(document), &Principal::anonymous()).await;
    assert_eq!(answer.errors, []);
}

#[tokio::test]
async fn an_internal_error_is_reported_by_its_code_only() {
    let (code, _, message) = first_error("{ opportunity(id: \"097:X\") { id } }").await;
    assert_eq!((code, message.as_str()), (Some(Value::from("INTERNAL")), "internal error"));
}

#[tokio::test]
async fn the_running_documents_of_a_connection_are_limited() {
    let graphql = graphql(&HttpConfig::default());
    let session = GraphQlSession::new(
        Principal::anonymous(),
        RequestGate::permissive(),
        ClientAddress::from_text("127.0.0.1"),
        SocketPermit::single(),
        Duration::from_secs(10),
    );
    let run_document = || session.run_document(&graphql, Request::new("{ __typename }"));
    let mut running: Vec<_> = (0..session::MAX_CONCURRENT_DOCUMENTS).map(|_| run_document()).collect();

    let refused = run_document().next().await.unwrap();
    assert!(refused.errors[0].message.contains("64 documents are running"), "{refused:?}");

    running.pop();
    assert_eq!(run_document().next().await.unwrap().errors, []);
}
