//! Sample GraphQL queries, printed with their results.

use anyhow::Context as _;
use serde_json::{Value, json};

/// Maximum number of lines printed of one result.
const MAX_RESULT_LINES: usize = 24;

const SAMPLE_QUERIES: [(&str, &str); 3] = [
    (
        "the newest opportunities",
        "{ opportunities(first: 3) { totalCount edges { node { id title type agency { name } responseDeadline } } } }",
    ),
    (
        "opportunities by semantic search",
        "{ searchOpportunities(query: \"wheelchairs and patient lifts\", first: 5) { score title agency { name } } }",
    ),
    (
        "figures",
        "{ opportunityStats { total { opportunities awardedOpportunities awarded } byType { type figures { \
         opportunities } } } }",
    ),
];

const DETAIL_QUERY: &str = "query($id: String!) { opportunity(id: $id) { id version status noticeCount facts { title naics } awards { awardee } } }";

/// Runs the queries and prints their results; returns whether all of them succeeded.
pub(super) async fn print_samples(address: &str) -> anyhow::Result<bool> {
    let mut all_succeeded = true;
    let mut newest = Value::Null;
    for (title, query) in SAMPLE_QUERIES {
        let result = run_query(address, query, json!({})).await?;
        all_succeeded &= print_result(title, query, &result);
        if let Some(id) = result.pointer("/data/opportunities/edges/0/node/id") {
            newest = id.clone();
        }
    }
    if newest.is_string() {
        let result = run_query(address, DETAIL_QUERY, json!({ "id": newest })).await?;
        all_succeeded &= print_result("one opportunity", DETAIL_QUERY, &result);
    }
    Ok(all_succeeded)
}

async fn run_query(address: &str, query: &str, variables: Value) -> anyhow::Result<Value> {
    let body = json!({ "query": query, "variables": variables });
    let response = reqwest::Client::new().post(format!("{address}/graphql")).json(&body).send().await;
    let response = response.context("sending a GraphQL query")?;
    response.json().await.context("reading a GraphQL response")
}

fn print_result(title: &str, query: &str, result: &Value) -> bool {
    let text = format!("{:#}", result.get("errors").or_else(|| result.get("data")).unwrap_or(result));
    let lines: Vec<&str> = text.lines().take(MAX_RESULT_LINES).collect();
    let more = if text.lines().count() > MAX_RESULT_LINES { "\n  .." } else { "" };
    println!("\n{title}\n  {query}\n  {}{more}", lines.join("\n  "));
    result.get("errors").is_none() && result.get("data").is_some_and(Value::is_object)
}
