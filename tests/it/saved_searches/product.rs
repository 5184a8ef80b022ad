//! Saved searches in the running product.

use std::time::Instant;

use serde_json::{Value, json};
use tests::{
    AcceptedChange, GraphqlSubscriber, ProductInstance, SignedInUser, eventually, json_lines, output_text, unique_name,
};

const DISCOVER: &str = "mutation($input: DiscoverOpportunityInput!) { outcome: discoverOpportunity(input: $input) {
    ... on OpportunityAccepted { id version } ... on OpportunityRejected { rule reason } } }";
const INBOX: &str = "{ notifications(first: 50) { totalCount edges { node { title about link kind } } } }";

async fn discover(product: &ProductInstance, number: &str, title: &str, naics: &str) {
    let input = json!({
        "noticeId": format!("n-{number}"),
        "title": title,
        "type": "Solicitation",
        "agency": "VETERANS AFFAIRS, DEPARTMENT OF",
        "solicitationNumber": number,
        "postedAt": "2026-03-03T12:00:00Z",
        "naics": naics,
    });
    let answer = product.send_graphql(DISCOVER, json!({ "input": input })).await;
    assert_eq!(answer["data"]["outcome"]["version"], 1, "{answer}");
}

async fn save_search(user: &SignedInUser<'_>, name: &str, search: &str) -> AcceptedChange {
    let field = format!("saveSearch(search: {{ name: \"{name}\", {search} }})");
    user.apply_change(&field, json!({})).await
}

async fn inbox_titles(user: &SignedInUser<'_>) -> Vec<String> {
    let answer = user.send_document(INBOX, json!({})).await;
    let edges = answer["data"]["notifications"]["edges"].as_array().cloned().unwrap_or_default();
    edges.iter().map(|edge| edge["node"]["title"].as_str().unwrap_or_default().to_owned()).collect()
}

async fn wait_for_titles(user: &SignedInUser<'_>, expected: &[&str]) {
    eventually(async || {
        let titles = inbox_titles(user).await;
        if titles == expected { Ok(()) } else { Err(format!("{titles:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_notice_that_matches_a_saved_search_is_in_the_inbox_also_after_a_crash_and_a_rebuild() {
    let mut product = ProductInstance::start().await;
    let (acme, zenith) = (unique_name("acme"), unique_name("zenith"));
    let ann = SignedInUser::register_company(&product, "ann", &acme).await;
    let vic = SignedInUser::register_company(&product, "vic", &zenith).await;
    let saved = save_search(&ann, "Lifts", "text: \"patient lifts\", naics: [\"3391\"], notify: AT_ONCE").await;
    save_search(&vic, "Nursing", "naics: [\"62\"], notify: AT_ONCE").await;
    let payload = json!({ "authorization": format!("Bearer {}", ann.token) });
    let incarnation = saved.token.split('.').next().unwrap();
    let subscription = format!(
        "subscription {{ notifications(after: \"{incarnation}.0\") {{ notification {{ title link about kind }} }} }}"
    );
    let mut inbox = GraphqlSubscriber::subscribe(product.http(), payload, &subscription).await.unwrap();

    let started = Instant::now();
    discover(&product, "L1", "Ceiling lifts for patients", "339113").await;
    let answer = inbox.next_answer().await.unwrap().unwrap();
    println!("from the notice's recording to the subscriber of the inbox: {:?}", started.elapsed());
    let expected: Value = json!({
        "title": "Lifts: Ceiling lifts for patients",
        "link": "/opportunities/036:L1",
        "about": "036:L1",
        "kind": "OPPORTUNITY_MATCHED",
    });
    assert_eq!(answer["data"]["notifications"]["notification"], expected, "{answer}");
    discover(&product, "N1", "Nurse staffing", "621610").await;
    wait_for_titles(&vic, &["Nursing: Nurse staffing"]).await;
    assert_eq!(inbox_titles(&ann).await, ["Lifts: Ceiling lifts for patients"], "another company's match");
    drop(inbox);

    // A crash while a notice is matched; a rebuild of everything; a notice after both.
    discover(&product, "L2", "Patient lifts, mobile", "339113").await;
    let tokens = [ann.token.clone(), vic.token.clone()];
    product.restart().await;
    let rebuilt = product.run_medhub(&["rebuild", "all"]).await;
    assert!(rebuilt.status.success(), "{}", output_text(&rebuilt));
    let [ann, vic] = tokens.map(|token| SignedInUser { product: &product, token });
    discover(&product, "L3", "Patient lift slings", "339113").await;
    let titles = ["Lifts: Patient lift slings", "Lifts: Patient lifts, mobile", "Lifts: Ceiling lifts for patients"];
    wait_for_titles(&ann, &titles).await;
    assert_eq!(inbox_titles(&vic).await, ["Nursing: Nurse staffing"]);

    let listed = product.run_medhub(&["processes", "list", "--tenant", &acme, "--json"]).await;
    let rows = json_lines(&listed);
    assert!(!rows.is_empty(), "{}", output_text(&listed));
    assert!(rows.iter().all(|row| row["process"] == "saved-search-alerts"), "{rows:?}");
    assert_eq!(rows[0]["waits_for"], "the end of the hour", "{}", rows[0]);
    let status = product.run_medhub(&["status", "--json"]).await;
    assert!(output_text(&status).contains("saved-search-alerts"), "{}", output_text(&status));
}
