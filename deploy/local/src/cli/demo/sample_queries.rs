//! A few questions in GraphQL, with their answers.

use anyhow::Context as _;
use serde_json::{Value, json};

/// Lines of an answer that are shown.
const MAX_LINES: usize = 24;

const SAMPLE_QUERIES: [(&str, &str); 3] = [
    (
        "the newest opportunities",
        "{ opportunities(first: 3) { totalCount edges { node { id title type agency { name } responseDeadline } } } }",
    ),
    (
        "opportunities by meaning",
        "{ searchOpportunities(query: \"wheelchairs and patient lifts\", first: 5) { score title agency { name } } }",
    ),
    (
        "figures",
        "{ opportunityStats { total { opportunities awardedOpportunities awarded } byType { type figures { \
         opportunities } } } }",
    ),
];

const DETAIL_QUERY: &str = "query($id: String!) { opportunity(id: $id) { id version status noticeCount facts { title naics } awards { awardee } } }";

/// Asks and prints; answers whether every question was answered without an error.
pub(super) async fn print(address: &str) -> anyhow::Result<bool> {
    let mut all = true;
    let mut newest = Value::Null;
    for (title, query) in SAMPLE_QUERIES {
        let answer = ask(address, query, json!({})).await?;
        all &= show(title, query, &answer);
        if let Some(id) = answer.pointer("/data/opportunities/edges/0/node/id") {
            newest = id.clone();
        }
    }
    if newest.is_string() {
        let answer = ask(address, DETAIL_QUERY, json!({ "id": newest })).await?;
        all &= show("one opportunity", DETAIL_QUERY, &answer);
    }
    Ok(all)
}

async fn ask(address: &str, query: &str, variables: Value) -> anyhow::Result<Value> {
    let body = json!({ "query": query, "variables": variables });
    let answer = reqwest::Client::new().post(format!("{address}/graphql")).json(&body).send().await;
    let answer = answer.context("asking GraphQL")?;
    answer.json().await.context("reading GraphQL's answer")
}

fn show(title: &str, query: &str, answer: &Value) -> bool {
    let text = format!("{:#}", answer.get("errors").or_else(|| answer.get("data")).unwrap_or(answer));
    let lines: Vec<&str> = text.lines().take(MAX_LINES).collect();
    let more = if text.lines().count() > MAX_LINES { "\n  .." } else { "" };
    println!("\n{title}\n  {query}\n  {}{more}", lines.join("\n  "));
    answer.get("errors").is_none() && answer.get("data").is_some_and(Value::is_object)
}
